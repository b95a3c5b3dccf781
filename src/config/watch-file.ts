import { type FSWatcher, realpathSync, statSync, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import { errorCode, readRegular } from './environment.ts'
import type { FileText } from './routing.ts'

export interface WatchFileOptions {
  /** Absolute; the file need not be there. */
  readonly path: string
  /** What is known of it already. */
  readonly known: FileText
  /** Called with what the file says, each time it says something else. */
  readonly onChange: (text: FileText) => void
  /** For how long nothing must happen before the file is read: whoever writes it is done by then. */
  readonly settleMs?: number
  /** How often it is read without being told to: not every file system tells. */
  readonly pollMs?: number
}

export interface FileWatch {
  stop(): void
}

/** A folder where something happens all the time does not put the reading off for longer than this. */
const longestSettleMs = 1000

/**
 * Watches what a path leads to, not a file: an editor puts another file in its place, Kubernetes swaps the
 * `..data` link that a ConfigMap's files are reached through, and it may come and go. So folders are watched (that of
 * the path, and that of the file it leads to), and what counts is whether the text is another one.
 */
export function watchFile(options: WatchFileOptions): FileWatch {
  const { path, onChange, settleMs = 100, pollMs = 30_000 } = options
  let known = options.known
  const folders = new Map<string, FSWatcher>()
  let settling: NodeJS.Timeout | undefined
  let firstEventAt = 0

  function look(): void {
    clearTimeout(settling)
    settling = undefined
    follow()
    const text = readRegular(path)
    if (isSame(text, known)) return
    known = text
    onChange(text)
  }

  function onEvent(name: string | null, linked: boolean): void {
    if (!linked && name !== null && name !== basename(path)) return
    const now = performance.now()
    if (settling === undefined) firstEventAt = now
    clearTimeout(settling)
    settling = setTimeout(look, Math.max(0, Math.min(settleMs, firstEventAt + longestSettleMs - now)))
  }

  /** A folder is known by its inode too: one that was made anew is another one. */
  function follow(): void {
    const real = realPath(path)
    const linked = real !== path
    const wanted = new Map<string, string>()
    for (const folder of new Set([dirname(path), dirname(real)])) {
      const inode = inodeOf(folder)
      if (inode !== undefined) wanted.set(`${inode} ${linked} ${folder}`, folder)
    }
    for (const [key, watcher] of folders) {
      if (wanted.has(key)) continue
      watcher.close()
      folders.delete(key)
    }
    for (const [key, folder] of wanted) if (!folders.has(key)) open(key, folder, linked)
  }

  function open(key: string, folder: string, linked: boolean): void {
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => onEvent(name, linked))
      watcher.on('error', () => {
        watcher.close()
        folders.delete(key)
      })
      folders.set(key, watcher)
    } catch {
      // No watches left, or a file system that has none: the poll will do, and tries again.
    }
  }

  const poll = setInterval(() => settling ?? look(), pollMs).unref()
  look()
  return {
    stop() {
      clearInterval(poll)
      clearTimeout(settling)
      for (const watcher of folders.values()) watcher.close()
      folders.clear()
    },
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

function inodeOf(folder: string): number | undefined {
  try {
    return statSync(folder).ino
  } catch {
    return undefined
  }
}

function isSame(a: FileText, b: FileText): boolean {
  return a instanceof Error && b instanceof Error ? errorCode(a) === errorCode(b) : a === b
}
