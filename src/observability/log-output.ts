import pino from 'pino'

export interface LogOutput {
  /** @param line with its line feed */
  write(line: string): void
  /** Writes out what is buffered, and returns when it is out. */
  flush(): void
  /** Bytes of lines that were given up, because whoever reads them had stopped. */
  droppedBytes(): number
}

/** How late a line may be. */
const mostLateMs = 1000
/** How much waits for a reader who has stopped, as a pipe's may: some 40 000 lines. The gateway outlives its log. */
const mostWaiting = 16 * 1024 * 1024

/**
 * Standard output, written in the background, at most a second late. Every request pays for a line: they are gathered
 * here and handed on as one piece, since the destination would join them one by one.
 *
 * @param isShared whether other processes write to it as well: into a pipe they then write no more at once than POSIX
 *   keeps together (PIPE_BUF, 4096 bytes on Linux), so that no line gets into the middle of another
 * @param mostWaitingBytes for a reader; lines that come while there are more are dropped, and counted
 */
export function createLogOutput(isShared: boolean, mostWaitingBytes = mostWaiting): LogOutput {
  // Each write wakes the thread pool: rather once for a hundred lines than for ten.
  const pieceBytes = isShared ? 4096 : 65_536
  const pieces = createPieces(pieceBytes, (bytes) => void put(bytes))
  // Before the destination's own listener, which writes out what has been handed to it.
  process.once('exit', pieces.handOn)
  const destination = pino.destination({
    ...{ dest: 1, sync: false, contentMode: 'buffer' },
    ...{ minLength: 0, maxWrite: pieceBytes, maxLength: mostWaitingBytes },
  })
  let droppedBytes = 0
  destination.on('drop', (piece) => {
    droppedBytes += piece.length
  })
  // SonicBoom takes bytes in this mode; its types know only strings.
  const put = destination.write.bind(destination) as unknown as (bytes: Buffer) => boolean
  setInterval(pieces.handOn, mostLateMs).unref()
  return {
    write: pieces.add,
    flush() {
      pieces.handOn()
      destination.flushSync()
    },
    droppedBytes: () => droppedBytes,
  }
}

/**
 * Puts lines together to pieces of whole lines.
 *
 * @param mostBytes of a piece; a line that is longer is one by itself
 * @param put is given each piece to keep
 */
export function createPieces(mostBytes: number, put: (bytes: Buffer) => void) {
  const piece = Buffer.allocUnsafeSlow(mostBytes)
  let used = 0

  function handOn(): void {
    if (used === 0) return
    put(Buffer.from(piece.subarray(0, used)))
    used = 0
  }

  return {
    add(line: string): void {
      // No character takes more than three bytes for each of its UTF-16 units.
      if (used + line.length * 3 > mostBytes && used + Buffer.byteLength(line) > mostBytes) {
        handOn()
        if (Buffer.byteLength(line) > mostBytes) {
          put(Buffer.from(line))
          return
        }
      }
      used += piece.write(line, used)
    },
    handOn,
  }
}
