import type { OAuthContext } from '../state.ts'

/**
 * Whether a browser asked for the public address, which its cookie is of and where a provider sends it back to.
 * What some proxy or anybody else wrote into X-Forwarded-Host counts, each of several: it is only ever compared, and
 * nothing is built from it.
 *
 * @param publicUrl its default port may be written out in a request
 */
export function createIsPublicHost(publicUrl: string): (ctx: Pick<OAuthContext, 'req' | 'state'>) => boolean {
  const { protocol, host } = new URL(publicUrl)
  const defaultPort = protocol === 'https:' ? ':443' : ':80'
  const isPublic = (asked: string) => {
    const lowerCase = asked.trim().toLowerCase()
    return lowerCase === host || lowerCase === host + defaultPort
  }
  return ({ req, state }) => {
    const forwarded = req.headersDistinct['x-forwarded-host']
    if (forwarded !== undefined) return forwarded.join(',').split(',').every(isPublic)
    return state.caller.host !== undefined && isPublic(state.caller.host)
  }
}
