export interface CallFrame {
  readonly functionName: string
  /** Empty for native functions and for V8's own entries such as (garbage collector). */
  readonly url: string
  /** Counted from 0. */
  readonly lineNumber: number
}

/** Node's modules by what they do; the first that matches counts. */
const nodeAreas: readonly (readonly [RegExp, string])[] = [
  [/^node:(_http_|http|internal\/http)/, 'node:http'],
  [
    /^node:(_stream|stream|internal\/streams|net|internal\/stream_base|internal\/js_stream)/,
    'node:net and streams',
  ],
  [/^node:(timers|internal\/timers)/, 'node:timers'],
  [
    /^node:(internal\/process\/task_queues|internal\/async_hooks|async_hooks|internal\/async)/,
    'node: ticks and async hooks',
  ],
  [/^node:(events|internal\/events)/, 'node:events'],
  [/^node:(fs|internal\/fs)/, 'node:fs'],
  [/^node:(buffer|internal\/buffer)/, 'node:buffer'],
  [/^node:internal\/deps\/undici/, 'undici (in Node)'],
  [/^node:/, 'node: other'],
]

/**
 * The area that a sample's self time belongs to; `stack` is its frames from the sampled one outwards.
 * Native calls (socket writes, the HTTP parser) are counted under "native, called from" their caller's area.
 */
export function areaOf(stack: readonly CallFrame[]): string {
  const [frame, caller] = [stack[0], stack.find(({ url }) => url !== '')]
  if (!frame) return 'unknown'
  if (frame.url !== '') return areaOfUrl(frame.url)
  if (frame.functionName === '(idle)') return 'idle'
  if (frame.functionName === '(garbage collector)') return 'garbage collection'
  if (frame.functionName === '(program)') return 'native: event loop, system calls outside JavaScript'
  return caller ? `native, called from ${areaOfUrl(caller.url)}` : 'native: other'
}

/**
 * Who a sample is charged to: the nearest package or room of munjigi that asked Node for it. What nobody asked for
 * (connections being read, the HTTP parser, replies being written on a later tick) is Node's own.
 */
export function payerOf(stack: readonly CallFrame[]): string {
  const area = areaOf(stack)
  if (area === 'idle' || area === 'garbage collection') return area
  const asked = stack.find(({ url }) => url !== '' && (!url.startsWith('node:') || url.includes('/undici/')))
  return asked ? areaOfUrl(asked.url) : 'Node itself'
}

/** The sampled function and where it is; for native ones, who called it. */
export function functionOf(stack: readonly CallFrame[]): string {
  const [frame, caller] = stack
  if (!frame || frame.functionName === '(idle)') return 'idle'
  const name = frame.functionName || '(anonymous)'
  if (frame.url !== '') return `${name} ${shortened(frame)}`
  return frame.functionName.startsWith('(') || !caller
    ? name
    : `${name}, native, from ${caller.functionName} ${shortened(caller)}`
}

const shortened = ({ url, lineNumber }: CallFrame): string =>
  url === '' ? '' : `${url.replace(/^.*\/(?:node_modules|src|bench)\//, '')}:${lineNumber + 1}`

function areaOfUrl(url: string): string {
  const node = nodeAreas.find(([pattern]) => pattern.test(url))
  if (node) return node[1]
  if (url.startsWith('wasm:')) return 'undici: llhttp (WebAssembly)'
  const packages = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)
  if (packages?.[1]) return packages[1]
  const room = /\/src\/(?:([^/]+)\/)?([^/]+)$/.exec(url) ?? /\/src\/([^/]+)\//.exec(url)
  if (room) return `munjigi: ${room[1] ? `${room[1]}/` : room[2]}`
  return url.slice(url.lastIndexOf('/') + 1)
}
