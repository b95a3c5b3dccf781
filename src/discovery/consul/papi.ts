import type http from 'node:http'
import type Consul from 'consul'

/** The parts of papi, the package's HTTP layer, that its types leave out. Both are in papi's documentation. */
interface Papi {
  _ext(event: 'onRequest', extension: (request: PapiRequest, next: () => void) => void): void
  _get(request: object): Promise<unknown>
}

interface PapiRequest {
  req: http.RequestOptions
  transport: { request(options: http.RequestOptions): http.ClientRequest }
  res?: unknown
  _resolve?: unknown
  _reject?: unknown
}

const asPapi = (consul: Consul) => consul as unknown as Papi

/** `/agent/service/:id`, the one blocking call of the agent's that the package does not have. */
export async function getAgentService(
  consul: Consul,
  id: string,
  { hash, waitMs }: { hash: string; waitMs: number },
  token: string | undefined,
  common: object,
): Promise<unknown> {
  const response = (await asPapi(consul)._get({
    ...common,
    name: 'agent.service',
    path: '/agent/service/{id}',
    params: { id },
    query: hash === '' ? {} : { hash, wait: `${waitMs}ms` },
    headers: token ? { 'x-consul-token': token } : {},
  })) as http.IncomingMessage & { body?: unknown }
  return [response, response.body]
}

/**
 * Mends three things in papi 1.1: a reply that is cut off in mid-body is never noticed (it listens to `end` only), an
 * IPv6 address keeps the brackets of the URL, which no resolver knows, and a finished request holds its reply.
 */
export function repairTransport(consul: Consul): void {
  asPapi(consul)._ext('onRequest', (request, next) => {
    const { transport } = request
    request.req.hostname = request.req.hostname?.replace(/^\[(.*)\]$/, '$1')
    request.transport = {
      request(options) {
        const outgoing = transport.request(options)
        outgoing.once('response', (response) => {
          response.once('close', () => {
            if (!response.complete) outgoing.emit('error', new Error('the reply was cut off'))
            if (!response.complete || response.readableEnded) letGoOfReply(request)
          })
        })
        return outgoing
      },
    }
    next()
  })
}

/**
 * Of a request that has been settled. Replies that hang on their requests outlive the collections of the young
 * generation: a thousand first answers then take 25 MB until the whole heap is gone through.
 */
function letGoOfReply(request: PapiRequest): void {
  request.res = undefined
  request._resolve = undefined
  request._reject = undefined
}
