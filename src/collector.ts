import { setFlagsFromString } from 'node:v8'

/**
 * Fits V8's garbage collector to a process that relays (figures: bench/README.md). For the process's first moments:
 * before anything is served.
 */
export function tuneCollector(): void {
  // After some 8 idle seconds the memory reducer clears every object shape that no live object has just then, and with
  // it all code compiled for it: the next second of requests took 157 µs of CPU each instead of 57, and what was
  // compiled after that stayed slower (65). What is lost is that the heap shrinks at rest; it is collected when it grows.
  setFlagsFromString('--memory-reducer-gc-count=0')
  // Bodies pass in buffers outside the heap. By default 64 MiB of them start a full collection of the heap, which has
  // nothing to do with them: six in a second for bodies of 64 KB, a quarter of the CPU and pauses of 20 ms. With this
  // they count as the heap's own growth does.
  setFlagsFromString('--external-memory-accounted-in-global-limit')
}
