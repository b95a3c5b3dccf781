import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { createPostgreSqlTypeParsers } from '@mikro-orm/pglite'
import { lockDirectory } from './directory-lock.ts'

/** The embedded database of one directory; several databases (schemas) of one process may share it. */
export interface Embedded {
  /** The one instance, opened at the first call. @throws Error where another process has the directory */
  open(): Promise<PGlite>
  /** Closes it and gives the directory free. */
  close(): Promise<void>
}

/** PGlite in a directory, which is made where it is missing and is nobody else's while it is open. */
export function openEmbedded(dataDir: string): Embedded {
  let opened: Promise<{ pglite: PGlite; unlock: () => void }> | undefined

  async function start() {
    await mkdir(dirname(dataDir), { recursive: true, mode: 0o700 })
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    const unlock = await lockDirectory(dataDir)
    try {
      const pglite = await PGlite.create({ dataDir, parsers: typeParsers() })
      return { pglite, unlock }
    } catch (error) {
      unlock()
      throw error
    }
  }

  return {
    async open() {
      const opening = opened ?? start()
      opened = opening
      try {
        return (await opening).pglite
      } catch (error) {
        if (opened === opening) opened = undefined
        throw error
      }
    },
    async close() {
      const closing = opened
      opened = undefined
      const { pglite, unlock } = (await closing?.catch(() => undefined)) ?? {}
      try {
        if (pglite?.closed === false) await pglite.close()
      } finally {
        unlock?.()
      }
    },
  }
}

/** Dates as MikroORM wants them, which sets its own parsers only where it opens PGlite itself. */
function typeParsers() {
  return createPostgreSqlTypeParsers((text) => [text])
}
