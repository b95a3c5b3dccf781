import { randomUUID } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import { createGuard } from '../src/tokens/guard.ts'
import { createIssuer } from '../src/tokens/issue.ts'
import { createVerifiedTokens } from '../src/tokens/verified.ts'
import { createVerifier } from '../src/tokens/verify.ts'
import { ratios, spread } from './statistics.ts'

const runMs = 1000
const rounds = 5

/** Signing and verifying as the gateway does it, beside the jose call that is at the heart of each. */
export async function measureSigning(): Promise<string[][]> {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const kid = await calculateJwkThumbprint(await exportJWK(publicKey))
  const issuer = 'https://www.example.com'
  const keys = {
    active: () => ({ kid, algorithm: 'ES256', privateKey }) as const,
    find: (wanted: string) => (wanted === kid ? publicKey : undefined),
  }
  const own = createIssuer({ keys, issuer, audience: issuer, accessTokenLifetimeSeconds: 900 })
  const verifier = createVerifier({ keys, issuer, audience: issuer, trusted: [] })
  const guard = createGuard({
    verifier,
    verified: createVerifiedTokens(10_000),
    revocations: { isRevoked: () => false, isFresh: () => true },
    issuer,
    dummies: undefined,
    headers: { id: 'X-User-Id', scope: 'X-User-Scope', issuer: 'X-User-Issuer' },
  })
  const session = { subject: 'user', clientId: 'bench', scope: 'a b', audience: [issuer], claims: {} }
  const issue = () => own.issue({ ...session, sessionId: randomUUID() })
  const { token } = await issue()
  const route = { auth: 'required', scopes: [], service: 'bench' } as const
  const rawHeaders = ['Host', 'localhost', 'Authorization', `Bearer ${token}`]

  const bareSign = () =>
    new SignJWT({ client_id: 'bench', sid: randomUUID(), scope: 'a b' })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid })
      .setIssuer(issuer)
      .setAudience(issuer)
      .setSubject('user')
      .setIssuedAt()
      .setExpirationTime('15m')
      .setJti(randomUUID())
      .sign(privateKey)
  const bareVerify = () => jwtVerify(token, publicKey, { issuer, audience: issuer, typ: 'at+jwt' })
  return [
    await compare('sign', issue, bareSign),
    await compare('verify', () => verifier.verify(token), bareVerify),
    await compare('let pass, token remembered', () => guard(route, rawHeaders), bareVerify),
  ]
}

async function compare(name: string, ours: () => unknown, bare: () => unknown): Promise<string[]> {
  const figures: [number[], number[]] = [[], []]
  for (let round = -1; round < rounds; round += 1) {
    const pair = [await perSecond(ours), await perSecond(bare)]
    // The first one is for the compiler.
    if (round >= 0) for (const side of [0, 1] as const) figures[side].push(pair[side]!)
  }
  const [own, theirs] = figures
  return [
    name,
    spread(own).median.toFixed(0),
    spread(theirs).median.toFixed(0),
    spread(ratios(own, theirs)).median.toFixed(2),
  ]
}

async function perSecond(work: () => unknown): Promise<number> {
  const start = performance.now()
  let done = 0
  while (performance.now() - start < runMs) {
    for (let i = 0; i < 50; i += 1) await work()
    done += 50
  }
  return done / ((performance.now() - start) / 1000)
}
