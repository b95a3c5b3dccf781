/** Where the two ends are, and what may be shown. Read at run time: one build serves any gateway. */
export interface Settings {
  /** Origin of the gateway, as browsers see it. */
  readonly gatewayUrl: string
  /** Origin of this front end, as browsers see it. Never taken from a request's Host. */
  readonly frontEndUrl: string
  /** Whether browsers get to see the refresh token, and print both tokens on their console. */
  readonly showTokens: boolean
}

/** @throws Error that names the variable and what was expected */
export function readSettings(env: Readonly<Record<string, string | undefined>> = process.env): Settings {
  const gatewayUrl = readOrigin(env, 'GATEWAY_URL', 'http://localhost:8080')
  const frontEndUrl = readOrigin(env, 'FRONT_END_URL', 'http://localhost:3000')
  const show = env.SHOW_TOKENS || String(isThisMachine(gatewayUrl) && isThisMachine(frontEndUrl))
  if (show !== 'true' && show !== 'false') throw new Error('SHOW_TOKENS: expected true or false')
  return { gatewayUrl, frontEndUrl, showTokens: show === 'true' }
}

function readOrigin(
  env: Readonly<Record<string, string | undefined>>,
  name: string,
  otherwise: string,
): string {
  const text = env[name] || otherwise
  const { origin, href, protocol } = new URL(URL.canParse(text) ? text : 'unknown:')
  if (!/^https?:$/.test(protocol) || href !== `${origin}/`) {
    throw new Error(`${name}: expected an origin such as ${otherwise}`)
  }
  return origin
}

function isThisMachine(origin: string): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(new URL(origin).hostname)
}
