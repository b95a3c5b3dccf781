import { get } from 'node:http'

/** Less than the time that HEALTHCHECK gives the whole command. */
const timeoutMs = 4000

/**
 * Asks a probe of a process on this machine. By the plain client of node:http, which loads at once: this is asked every
 * few seconds for as long as a container lives.
 *
 * @returns the reply's status, and its `status` member where it is such JSON
 * @throws Error with the code of the fault where nothing answers
 */
export async function askHealth(url: string): Promise<{ status: number; said: string | undefined }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; said: string | undefined }>()
  const request = get(url, { agent: false, signal: AbortSignal.timeout(timeoutMs) }, (reply) => {
    let text = ''
    reply.setEncoding('utf8')
    reply.on('data', (chunk: string) => {
      text = (text + chunk).slice(0, 10_000)
    })
    reply.on('end', () => resolve({ status: reply.statusCode ?? 0, said: statusIn(text) }))
    reply.on('error', reject)
  })
  request.on('error', reject)
  try {
    return await promise
  } catch (error) {
    throw new Error(reasonOf(error), { cause: error })
  }
}

function reasonOf(error: unknown): string {
  const { name, code, message } = error as NodeJS.ErrnoException
  if (name === 'AbortError' || name === 'TimeoutError') return `not within ${timeoutMs / 1000} s`
  return code ?? message
}

/** One word, since it is printed. */
function statusIn(text: string): string | undefined {
  try {
    const { status } = JSON.parse(text) as { status?: unknown }
    return typeof status === 'string' && /^[a-z]{1,20}$/.test(status) ? status : undefined
  } catch {
    return undefined
  }
}
