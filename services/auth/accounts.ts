import type { Middleware } from 'koa'
import { createDatabase, type Database } from '../../src/persistence/database.ts'
import type { Embedded } from '../../src/persistence/embedded.ts'
import { authEntities } from './entities.ts'
import { createGateway } from './gateway.ts'
import { createLimits } from './limits.ts'
import type { Log } from './log.ts'
import { login } from './login.ts'
import { me } from './me.ts'
import { migrations } from './migrations/index.ts'
import { createPasswords } from './passwords.ts'
import { Problem } from './problem.ts'
import type { AuthSettings } from './settings.ts'
import { signup } from './signup.ts'
import { createUsers, type Users } from './users.ts'

export interface AccountsOptions {
  readonly settings: AuthSettings
  readonly log: Log
  /** The embedded database, where the gateway runs in the same process and uses it too. */
  readonly embedded?: Embedded | undefined
  /** Where the gateway is, where it is known better than by GATEWAY_URL. */
  readonly gatewayUrl?: (() => string | undefined) | undefined
}

/** Signing up, logging in, and who is calling. */
export interface Accounts {
  readonly signup: Middleware
  readonly login: Middleware
  readonly me: Middleware
  /** Has the database come, and resolves then; the service answers without it too, with 503 where it is needed. */
  start(): Promise<void>
  stop(): Promise<void>
}

export function createAccounts({ settings, log, embedded, gatewayUrl }: AccountsOptions): Accounts {
  const database = openDatabase(settings, log, embedded)
  const users = database === undefined ? nobody : createUsers(database)
  const passwords = createPasswords()
  const limits = createLimits({
    ...settings.limits,
    shared: settings.database.kind === 'postgres' ? database : undefined,
  })
  const gateway = createGateway({
    url: () => gatewayUrl?.() ?? settings.gatewayUrl,
    client: settings.client,
    warn: log.line,
  })
  return {
    signup: signup({ users, passwords, limits }),
    login: login({ users, passwords, limits, gateway }),
    me: me({
      users: database === undefined ? { findById: async () => undefined } : users,
      ...settings.identity,
    }),
    start: async () => database?.start(),
    stop: async () => database?.stop(),
  }
}

function openDatabase({ database }: AuthSettings, log: Log, embedded?: Embedded): Database | undefined {
  if (database.kind === 'none') return undefined
  const print = (_fields: unknown, message: string) => log.line(message)
  return createDatabase({
    config: database,
    schema: 'auth',
    entities: [...authEntities],
    migrations,
    log: { debug: () => {}, info: () => {}, warn: print, error: print },
    ...(embedded !== undefined && { embedded }),
  })
}

/** The users of a service without a database. */
const nobody: Users = {
  add: refuse,
  findByEmail: refuse,
  findById: refuse,
  replacePasswordHash: refuse,
}

async function refuse(): Promise<never> {
  const detail = 'This service was started without a database (DATABASE_URL is none).'
  throw new Problem(503, 'database_unavailable', { detail })
}
