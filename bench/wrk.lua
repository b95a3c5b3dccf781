-- Arguments after `--`: the method and, for a body, its size in bytes. Prints wrk's summary as one line of JSON.
function init(args)
  wrk.method = args[1]
  if args[2] then
    wrk.headers['Content-Type'] = 'text/plain'
    wrk.body = string.rep('x', tonumber(args[2]))
  end
end

function done(summary)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"durationUs":%d,"status":%d,"socket":%d}\n',
    summary.requests, summary.duration, e.status, e.connect + e.read + e.write + e.timeout))
end
