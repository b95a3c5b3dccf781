import { fork } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import type { ExecutionContext } from 'ava'
import type { EncryptionKey } from '../../src/persistence/sealer.ts'
import type { PostgresConfig } from './database.ts'
import { bareEnvironment } from './processes.ts'

export interface VaultProcessSettings {
  readonly databaseUrl: string
  readonly database?: Partial<PostgresConfig>
  readonly providerUrl: string
  readonly providerTimeoutMs: number
  readonly keys: readonly EncryptionKey[]
}

/** What is to be done so many times at once. */
export interface VaultCommand {
  readonly action: 'fresh' | 'refresh' | 'select'
  readonly id: string
  readonly subject: string
  readonly times: number
}

export type VaultAnswer = { readonly token: string } | { readonly code: string }

/** One of several processes with a vault on one PostgreSQL. */
export interface VaultReplica {
  ask(command: VaultCommand): Promise<readonly VaultAnswer[]>
  /** kill -9, and waits until it is gone. */
  kill(): Promise<void>
}

export async function startVaultReplica(
  t: Pick<ExecutionContext, 'teardown'>,
  settings: VaultProcessSettings,
): Promise<VaultReplica> {
  const child = fork(resolve('test/support/vault-process.ts'), {
    execArgv: [],
    env: { ...bareEnvironment, VAULT: JSON.stringify(settings) },
  })
  const exited = once(child, 'exit')
  const kill = async () => {
    child.kill('SIGKILL')
    await exited
  }
  t.teardown(kill)
  let asked = 0
  await once(child, 'message')
  return {
    kill,
    ask(command) {
      const number = ++asked
      return new Promise((answered, failed) => {
        const hear = (message: { number: number; answers: readonly VaultAnswer[] }) => {
          if (message.number !== number) return
          child.off('message', hear)
          answered(message.answers)
        }
        child.on('message', hear)
        child.once('exit', () => failed(new Error('the process has ended')))
        child.send({ number, command })
      })
    },
  }
}
