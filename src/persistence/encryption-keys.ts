import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { EncryptionKeysConfig } from '../config/config.ts'
import { databaseSettings } from '../config/database-settings.ts'
import type { Log } from '../observability/log.ts'
import type { EncryptionKey } from './sealer.ts'

/**
 * The key-encryption keys, newest first: those that are configured, or those of the file. Where there is no file
 * yet it is made with one generated key, for its owner only (0600). Of several processes that start at once one
 * makes it and all read the same.
 *
 * @param log is told of a file that was made, and warned of one that others than its owner may read or change
 * @throws Error naming the file where it cannot be read or made, or holds something else
 */
export async function readEncryptionKeys(
  config: EncryptionKeysConfig,
  log?: Pick<Log, 'info' | 'warn'>,
): Promise<readonly EncryptionKey[]> {
  if ('keys' in config) return config.keys
  const { file } = config
  const text = (await readOptional(file)) ?? (await generate(file, log))
  if (log !== undefined && (await isOpenToOthers(file))) {
    log.warn({ file }, `${file}: others than its owner may read the encryption keys; chmod 600 ends that`)
  }
  const parsed = databaseSettings.ENCRYPTION_KEYS.schema.safeParse(text.trim())
  if (parsed.success) return parsed.data
  throw new Error(
    `${file}: expected encryption keys as id:base64 of 32 bytes, newest first, separated by commas. ` +
      'What was stored under its keys cannot be read without it',
  )
}

async function readOptional(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new Error(`${file}: the encryption keys cannot be read (${codeOf(error)})`, { cause: error })
  }
}

/** By its permission bits, which mean nothing on Windows. */
async function isOpenToOthers(file: string): Promise<boolean> {
  return process.platform !== 'win32' && ((await stat(file)).mode & 0o077) !== 0
}

/** Writes a file beside it and links that into place, which fails where another process was first. */
async function generate(file: string, log: Pick<Log, 'info'> | undefined): Promise<string> {
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  const id = `${new Date().toISOString().slice(0, 10)}-${randomBytes(3).toString('hex')}`
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await writeDurably(draft, `${id}:${randomBytes(32).toString('base64')}\n`)
    await link(draft, file).then(
      () => log?.info({ file }, `a key that secrets are stored under was generated into ${file}`),
      (error: unknown) => {
        if (codeOf(error) !== 'EEXIST') throw error
      },
    )
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new Error(`${file}: a file of encryption keys cannot be made (${codeOf(error)})`, { cause: error })
  } finally {
    await rm(draft, { force: true }).catch(() => {})
  }
}

/** On the disk before anything is sealed under it: a key that is lost takes with it whatever it sealed. */
async function writeDurably(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
