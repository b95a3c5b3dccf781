import { parseArgs } from 'node:util'
import { loadConfig } from '../config/load.ts'
import { discoverySources } from '../discovery/sources/index.ts'
import type { Log } from '../observability/log.ts'
import { readEncryptionKeys } from '../persistence/encryption-keys.ts'
import { createSealer } from '../persistence/sealer.ts'
import type { RotateOptions } from '../tokens/key-rotation.ts'
import { createKeyRing, type KeyRing } from '../tokens/keys.ts'
import { type Command, type CommandContext, UsageError } from './command.ts'
import { withDatabase } from './open-database.ts'

/** What the gateway's own signing keys need of an operator. */
export const keys: Command = {
  usage: [
    'keys rotate                  the next key signs from now on',
    'keys rotate --now            also where others may not know the next key yet',
    'keys rotate --replace-lost   also where the key of ENCRYPTION_KEYS that sealed the next key is lost for good',
    'keys rewrap                  seal the keys anew under the newest of ENCRYPTION_KEYS',
  ],
  async run(args, context) {
    const { action, options } = parse(args)
    if (action === 'rotate') {
      context.print(await withKeyRing(context, (ring) => ring.rotate(options)))
    } else if (action === 'rewrap' && !options.now && !options.replaceLost) {
      const { count, failures } = await withKeyRing(context, (ring) => ring.rewrap())
      context.print(`${count} signing keys sealed anew`)
      if (failures.length > 0) throw new Error(failures.join('\n'))
    } else {
      throw new UsageError('expected rotate or rewrap')
    }
  },
}

function parse(args: readonly string[]): { action: string | undefined; options: RotateOptions } {
  try {
    const { positionals, values } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        now: { type: 'boolean', default: false },
        'replace-lost': { type: 'boolean', default: false },
      },
    })
    const action = positionals.length === 1 ? positionals[0] : undefined
    return { action, options: { now: values.now, replaceLost: values['replace-lost'] } }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

/** The running replicas hear of what is done here as they hear of each other. */
async function withKeyRing<T>(context: CommandContext, work: (ring: KeyRing) => Promise<T>): Promise<T> {
  const config = loadConfig({ env: context.env, cwd: context.cwd, sources: discoverySources })
  const { database: databaseConfig, tokens } = config
  if (databaseConfig.kind === 'none') {
    throw new Error('DATABASE_URL is none: a gateway without a database has no signing keys')
  }
  const sealer = createSealer(await readEncryptionKeys(databaseConfig.encryptionKeys))
  return withDatabase(databaseConfig, quiet, (database) =>
    work(
      createKeyRing({
        database,
        sealer,
        log: quiet,
        signingKeyLifetimeSeconds: tokens.signingKeyLifetime,
        pollingIntervalMs: tokens.revocation.pollingIntervalMs,
      }),
    ),
  )
}

/** Standard output is the answer's; what went wrong is thrown. */
const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} }
