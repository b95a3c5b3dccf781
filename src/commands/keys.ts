import { parseArgs } from 'node:util'
import { loadConfig } from '../config/load.ts'
import { discoverySources } from '../discovery/sources/index.ts'
import { rewrapVault } from '../oauth/vault/rewrap.ts'
import type { Log } from '../observability/log.ts'
import type { Database } from '../persistence/database.ts'
import { readEncryptionKeys } from '../persistence/encryption-keys.ts'
import { createSealer, type Sealer } from '../persistence/sealer.ts'
import type { RotateOptions } from '../tokens/key-rotation.ts'
import { createKeyRing, type KeyRing } from '../tokens/keys.ts'
import { type Command, type CommandContext, UsageError } from './command.ts'
import { withDatabase } from './open-database.ts'
import { alignColumns } from './text-table.ts'

/** What the gateway's own signing keys, and what else it keeps sealed, need of an operator. */
export const keys: Command = {
  usage: [
    'keys rotate                  the next key signs from now on',
    'keys rotate --now            also where others may not know the next key yet',
    'keys rotate --replace-lost   also where the key of ENCRYPTION_KEYS that sealed the next key is lost for good',
    'keys list                    which keys there are: what each is for, and since when',
    'keys distrust <kid>          what this key has signed is worth nothing any more; --all for every key',
    'keys rewrap                  seal the keys and the vault anew under the newest of ENCRYPTION_KEYS',
  ],
  async run(args, context) {
    const { action, kid, all, options } = parse(args)
    const isPlain = !options.now && !options.replaceLost
    if (action === 'distrust' && isPlain && (kid !== undefined) !== all) {
      const { active, gone } = await withKeys(context, ({ ring }) => ring.distrust(kid))
      for (const one of gone) context.print(`not trusted any more: ${one}`)
      context.print(`signs from now on: ${active}`)
      return
    }
    if (kid !== undefined || all) throw usageError()
    if (action === 'rotate') {
      context.print(await withKeys(context, ({ ring }) => ring.rotate(options)))
    } else if (action === 'list' && isPlain) {
      for (const line of await withKeys(context, listKeys)) context.print(line)
    } else if (action === 'rewrap' && isPlain) {
      const failures = await withKeys(context, async ({ ring, database, sealer }) => {
        const keys = await ring.rewrap()
        context.print(`${keys.count} signing keys sealed anew`)
        const vault = await database.run((em) => rewrapVault(em, sealer))
        context.print(`${vault.count} rows of the vault sealed anew`)
        return [...keys.failures, ...vault.failures]
      })
      if (failures.length > 0) throw new Error(failures.join('\n'))
    } else {
      throw usageError()
    }
  },
}

const usageError = () => new UsageError('expected list, rotate, distrust <kid>, distrust --all or rewrap')

async function listKeys({ ring }: Keys): Promise<string[]> {
  await ring.read()
  const { keys, nextRotationAt } = ring.status()
  const date = (ms: number | undefined) => (ms === undefined ? '' : new Date(ms).toISOString())
  const rows = keys.map(({ kid, state, usable, createdAt, activatedAt, retiredAt }) => [
    kid,
    usable ? state : `${state}, cannot be used: ENCRYPTION_KEYS`,
    `since ${date(retiredAt ?? activatedAt ?? createdAt)}`,
  ])
  return [...alignColumns(rows), `the next one signs at ${date(nextRotationAt)}`]
}

interface Parsed {
  readonly action: string | undefined
  readonly kid: string | undefined
  readonly all: boolean
  readonly options: RotateOptions
}

function parse(args: readonly string[]): Parsed {
  // A kid may begin with a hyphen (base64url), as an option does.
  if (args[0] === 'distrust' && args.length === 2 && /^[\w-]{43}$/.test(args[1]!)) {
    return { action: 'distrust', kid: args[1], all: false, options: {} }
  }
  try {
    const { positionals, values } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        now: { type: 'boolean', default: false },
        'replace-lost': { type: 'boolean', default: false },
        all: { type: 'boolean', default: false },
      },
    })
    const [action, kid, ...more] = positionals
    if (more.length > 0) throw usageError()
    return { action, kid, all: values.all, options: { now: values.now, replaceLost: values['replace-lost'] } }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

interface Keys {
  /** The running replicas hear of what is done with it as they hear of each other. */
  readonly ring: KeyRing
  readonly database: Database
  readonly sealer: Sealer
}

async function withKeys<T>(context: CommandContext, work: (keys: Keys) => Promise<T>): Promise<T> {
  const config = loadConfig({ env: context.env, cwd: context.cwd, sources: discoverySources })
  const { database: databaseConfig, tokens } = config
  if (databaseConfig.kind === 'none') {
    throw new Error('DATABASE_URL is none: a gateway without a database has no signing keys')
  }
  const sealer = createSealer(await readEncryptionKeys(databaseConfig.encryptionKeys))
  return withDatabase(databaseConfig, quiet, (database) => {
    const ring = createKeyRing({
      database,
      sealer,
      log: quiet,
      signingKeyLifetimeSeconds: tokens.signingKeyLifetime,
      pollingIntervalMs: tokens.revocation.pollingIntervalMs,
    })
    return work({ ring, database, sealer })
  })
}

/** Standard output is the answer's; what went wrong is thrown. */
const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} }
