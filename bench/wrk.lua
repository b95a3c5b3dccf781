-- Arguments after `--`: the method, the size of the body in bytes (0 for none) and, if every request is to bear a token,
-- a file of tokens, one a line, which take turns. Prints wrk's summary as one line of JSON.
function init(args)
  wrk.method = args[1]
  local size = tonumber(args[2] or '0')
  if size > 0 then
    wrk.headers['Content-Type'] = 'text/plain'
    wrk.body = string.rep('x', size)
  end
  if args[3] then
    local requests = {}
    for token in io.lines(args[3]) do
      requests[#requests + 1] = wrk.format(nil, nil, { ['Authorization'] = 'Bearer ' .. token })
    end
    local turn = 0
    request = function()
      turn = turn % #requests + 1
      return requests[turn]
    end
  end
end

function done(summary)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"durationUs":%d,"status":%d,"socket":%d}\n',
    summary.requests, summary.duration, e.status, e.connect + e.read + e.write + e.timeout))
end
