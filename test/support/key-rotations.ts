import type { ExecutionContext } from 'ava'
import { startProcess } from './processes.ts'
import type { Replica } from './replica.ts'
import { signingKeys } from './token-neighbourhood.ts'
import { until } from './until.ts'

export interface RotateOptions {
  readonly url: string
  readonly replicas: readonly Replica[]
  /** The settings of the replicas. */
  readonly env: Readonly<Record<string, string>>
  readonly rotations: number
  /** How many uses of tokens there are at least with each of the keys. */
  readonly usesEach?: number
}

/**
 * `keys rotate --now`, so often, while tokens are made on each gateway and used on all of them at once. Each of those
 * is answered 200. Gives how many uses there were.
 */
export async function rotateUnderLoad(t: ExecutionContext, options: RotateOptions): Promise<number> {
  const { url, replicas, env, rotations, usesEach = 200 } = options
  const before = await replicas[0]!.create()
  const kids = new Set<string>()
  const wrong: string[] = []
  let [uses, going] = [0, true]
  const callers = Array.from({ length: 8 }, async (_, i) => {
    while (going) {
      const { access_token } = await replicas[i % replicas.length]!.create()
      kids.add(JSON.parse(Buffer.from(access_token.split('.')[0]!, 'base64url').toString()).kid)
      for (const token of [access_token, before.access_token]) {
        for (const replica of replicas) {
          const { status } = await replica.ask('/api/house', token)
          if (status !== 200) wrong.push(`${status}`)
          uses += 1
        }
      }
    }
  })
  for (let rotation = 1; rotation <= rotations; rotation++) {
    // All of them know the key that is to be next.
    const next = (await signingKeys(url)).find((key) => key.activated_at === null)!.kid
    const knows = async (replica: Replica) =>
      (await replica.ask('/.well-known/jwks.json')).body.includes(next)
    await until(async () => (await Promise.all(replicas.map(knows))).every(Boolean), 'all know the next key')
    const command = startProcess(t, 'src/munjigi.ts', { ...env }, { args: ['keys', 'rotate', '--now'] })
    t.is((await command.exited).code, 0, command.output())
    t.is(command.output().trim(), next)
    await until(() => kids.has(next), 'tokens are signed with it')
    const then = uses
    await until(() => uses > then + usesEach, 'load goes on')
  }
  going = false
  await Promise.all(callers)
  t.deepEqual(wrong, [])
  t.is(kids.size, rotations + 1)
  for (const replica of replicas) t.is((await replica.ask('/api/house', before.access_token)).status, 200)
  return uses
}
