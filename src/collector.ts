import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Fits V8's garbage collector to a process that is asked now and then. For the process's first moments.
 *
 * After some 8 idle seconds V8's memory reducer clears every object shape that no live object has just then, and with
 * it all code compiled for it: the next second of requests took 157 µs of CPU each instead of 57, and what was compiled
 * after that stayed slower (65; bench/README.md). What is lost is that the heap shrinks at rest; it is collected when it
 * grows.
 */
export function keepCompiledCode(): void {
  setFlagsFromString('--memory-reducer-gc-count=0')
}

/**
 * Frees the buffers of bodies that have passed, which are outside the heap. V8 by itself does so when the young heap is
 * full, which takes long where requests are few and large, or at every 64 MiB of buffers by a full collection of the
 * heap, which has nothing to do with them: six in a second for bodies of 64 KB, more than a third of the CPU,
 * pauses of 20 ms (bench/README.md). A collection of young objects takes 1 ms.
 *
 * @returns to be told the bytes of every chunk that has passed
 */
export function createBufferCollector(everyBytes = 32 * 1024 * 1024): (bytes: number) => void {
  const collect = exposeCollector()
  let passed = 0
  return (bytes) => {
    passed += bytes
    if (passed < everyBytes) return
    passed = 0
    collect({ type: 'minor' })
  }
}

type Collect = (options: { readonly type: 'minor' }) => void

/** V8 hands it out to new contexts only; that of the program is left without it. */
function exposeCollector(): Collect {
  // Flags are the process's, not the thread's: another thread that does the same may just have taken it back.
  for (let attempt = 0; attempt < 100; attempt++) {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('globalThis.gc') as Collect | undefined
    setFlagsFromString('--no-expose-gc')
    if (collect !== undefined) return collect
  }
  return () => {}
}
