import { randomUUID } from 'node:crypto'
import type { SqlEntityManager } from '@mikro-orm/postgresql'
import { GatewayError } from '../../errors.ts'
import type { Log } from '../../observability/log.ts'
import type { Database } from '../../persistence/database.ts'
import type { Sealer } from '../../persistence/sealer.ts'
import { ConnectionEntity, ProviderRevocationEntity } from '../entities.ts'
import type { Provider, ProviderTokens } from '../provider.ts'
import { createPending } from './pending.ts'
import { revocationPlace, type TokenSealer } from './sealed-tokens.ts'
import type { Revocation } from './vault.ts'

/** A grant that is to be ended at its provider. */
export interface EndedGrant {
  readonly provider: string
  readonly providerUserId: string
  readonly tokens: ProviderTokens
}

/** Ends grants at their providers, now or later: none is forgotten. */
export interface Revocations {
  /**
   * Puts one on the list, in the caller's transaction.
   * @param mine whether the caller tries it himself as soon as that is committed
   */
  add(em: SqlEntityManager, grant: EndedGrant, mine: boolean): Promise<string>
  /** Tries one that was just added, for as long as a provider may take. Never rejects. */
  tryNow(id: string, grant: EndedGrant): Promise<Revocation>
  /** Tries those that are due. */
  sweep(stopped: () => boolean): Promise<void>
  /** Resolves when nobody is being asked. */
  settled(): Promise<void>
}

export interface RevocationsOptions {
  readonly database: Database
  readonly sealer: Sealer
  readonly tokens: TokenSealer
  readonly providers: ReadonlyMap<string, Provider>
  /** How long a provider is waited for. */
  readonly answerMs: number
  readonly log: Log
  readonly now: () => number
  readonly random: () => number
}

interface Due {
  readonly id: string
  readonly provider: string
  readonly providerUserId: string
  readonly sealedTokens: string
  readonly createdAt: Date
  readonly attempts: number
}

const giveUpAfterMs = 7 * 86_400_000
const batchSize = 20

export function createRevocations(options: RevocationsOptions): Revocations {
  const { database, sealer, tokens, providers, answerMs, log, now, random } = options
  const pending = createPending()

  /** From a minute, doubling, to an hour; never so soon that a try may still be going on. */
  const nextAttemptAt = (attempts: number) => {
    const ceiling = Math.min(60_000 * 2 ** Math.min(attempts - 1, 10), 3_600_000)
    return new Date(now() + Math.max(ceiling * (0.5 + random() / 2), answerMs * 2))
  }

  const forget = (id: string) => database.run((em) => em.nativeDelete(ProviderRevocationEntity, { id }))

  async function ask(
    id: string,
    { provider: name, providerUserId, tokens }: EndedGrant,
  ): Promise<Revocation> {
    const provider = providers.get(name)
    if (provider === undefined) {
      log.warn({ provider: name, revocation: id }, 'a grant cannot be ended: its provider is not configured')
      return 'queued'
    }
    try {
      const outcome = await provider.revoke(tokens, { id: providerUserId })
      if (outcome === 'unsupported') {
        log.info({ provider: name, revocation: id }, 'the provider has no way to end a grant')
      }
      // Where that fails it is asked once more, and says that it does not know it any more.
      await forget(id).catch(() => {})
      return outcome
    } catch (error) {
      const code = error instanceof GatewayError ? error.code : 'internal_error'
      log.warn({ provider: name, revocation: id, code }, 'a grant could not be ended and is tried again')
      return 'queued'
    }
  }

  /** Of several replicas one has it; none has it again before the next attempt is due. */
  async function claim({ id, attempts }: Due): Promise<boolean> {
    const change = { attempts: attempts + 1, nextAttemptAt: nextAttemptAt(attempts + 1) }
    const claimed = await database.run((em) =>
      em.nativeUpdate(ProviderRevocationEntity, { id, attempts }, change),
    )
    return claimed === 1
  }

  /** Some providers end all that an account has granted: who has connected it again meant to keep it. */
  async function isConnectedAgain({ provider, providerUserId, createdAt }: Due): Promise<boolean> {
    const where = { provider, providerUserId, createdAt: { $gte: createdAt } }
    return (await database.run((em) => em.count(ConnectionEntity, where))) > 0
  }

  async function tryAgain(due: Due): Promise<void> {
    const { id, provider, providerUserId, sealedTokens, createdAt } = due
    if (!(await claim(due))) return
    if (await isConnectedAgain(due)) {
      log.info({ provider, revocation: id }, 'a grant is not ended: its account has been connected again')
      await forget(id)
      return
    }
    const text = await tokens.openText(sealedTokens, revocationPlace(id)).catch(() => undefined)
    const outcome =
      text === undefined ? 'queued' : await ask(id, { provider, providerUserId, tokens: JSON.parse(text) })
    if (outcome === 'queued' && now() - createdAt.getTime() > giveUpAfterMs) {
      log.error({ provider, revocation: id }, 'a grant could not be ended for a week and is left as it is')
      await forget(id)
    }
  }

  return {
    async add(em, { provider, providerUserId, tokens }, mine) {
      const id = randomUUID()
      await em.insert(ProviderRevocationEntity, {
        ...{ id, provider, providerUserId },
        sealedTokens: await sealer.seal(JSON.stringify(tokens), revocationPlace(id)),
        createdAt: new Date(now()),
        attempts: mine ? 1 : 0,
        nextAttemptAt: mine ? nextAttemptAt(1) : new Date(now()),
      })
      return id
    },
    tryNow(id, grant) {
      return pending.within(answerMs, ask(id, grant), 'queued')
    },
    async sweep(stopped) {
      for (let seen = ''; !stopped(); ) {
        const where = {
          nextAttemptAt: { $lte: new Date(now()) },
          // Another replica may have the provider configured; in a week nobody has.
          $or: [
            { provider: { $in: [...providers.keys()] } },
            { createdAt: { $lte: new Date(now() - giveUpAfterMs) } },
          ],
          ...(seen !== '' && { id: { $gt: seen } }),
        }
        const batch = await database.run((em) =>
          em.find(ProviderRevocationEntity, where, {
            ...{ limit: batchSize, orderBy: { id: 'asc' }, disableIdentityMap: true },
          }),
        )
        for (const due of batch) {
          if (stopped()) return
          await pending.within(answerMs, tryAgain(due), undefined)
        }
        if (batch.length < batchSize) return
        seen = batch.at(-1)!.id
      }
    },
    settled: pending.settled,
  }
}
