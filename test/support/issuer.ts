import { createServer } from 'node:http'
import type { ExecutionContext } from 'ava'
import { exportJWK, generateKeyPair, type JWK, type JWTHeaderParameters, SignJWT } from 'jose'
import { listenOnOwnPort } from './ports.ts'

export interface TestIssuer {
  readonly issuer: string
  readonly audience: string
  /** `TRUSTED_ISSUERS` for a gateway that is to trust it. */
  readonly setting: string
  /** How often its keys were asked for. */
  readonly asked: () => number
  /** A token of its, signed with its newest key; claims and header may be overridden, with undefined to leave out. */
  token(
    claims?: Readonly<Record<string, unknown>>,
    header?: Readonly<Record<string, unknown>>,
  ): Promise<string>
  /** Signs with a key of its own from now on, which its JWKS then has as well. */
  rotate(): Promise<void>
  /** Its JWKS has none but its newest key from now on. */
  forget(): void
  /** Its JWKS is answered with this status from now on. */
  answerWith(status: number): void
  close(): Promise<void>
}

/** Another issuer, with its keys on a real socket. */
export async function startIssuer(t: ExecutionContext, algorithm = 'ES256'): Promise<TestIssuer> {
  const keys: JWK[] = []
  let signing: CryptoKey
  let kid = ''
  let asked = 0
  let status = 200
  async function rotate() {
    const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true })
    signing = privateKey
    kid = crypto.randomUUID()
    keys.push({ ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' })
  }
  await rotate()
  const server = createServer((_request, response) => {
    asked += 1
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(status === 200 ? JSON.stringify({ keys }) : '')
  })
  const port = await listenOnOwnPort(server)
  const close = async () => {
    server.closeAllConnections()
    if (server.listening) await new Promise((closed) => server.close(closed))
  }
  t.teardown(close)
  const issuer = 'https://login.example.com'
  const audience = 'my-api'
  return {
    issuer,
    audience,
    setting: `${issuer} http://127.0.0.1:${port}/jwks.json ${audience}`,
    asked: () => asked,
    rotate,
    forget: () => void keys.splice(0, keys.length - 1),
    answerWith(next) {
      status = next
    },
    close,
    async token(claims = {}, header = {}) {
      const now = Math.floor(Date.now() / 1000)
      const payload = defined({
        iss: issuer,
        aud: audience,
        sub: 'user-1',
        iat: now,
        exp: now + 60,
        ...claims,
      })
      const protectedHeader = defined({ alg: algorithm, kid, ...header })
      return new SignJWT(payload)
        .setProtectedHeader(protectedHeader as unknown as JWTHeaderParameters)
        .sign(signing)
    },
  }
}

const defined = (object: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))
