import { setFlagsFromString } from 'node:v8'

/**
 * Keeps V8 from collecting garbage merely because nothing happens. After some 8 idle seconds its memory reducer clears
 * every object shape that no live object has just then, and with it all code compiled for it: the next second of requests
 * took 157 µs of CPU each instead of 57, and the code that came after stayed slower (65 µs; bench/README.md). What is
 * lost is that the heap shrinks at rest; it is still collected when it has grown.
 */
export function stayWarm(): void {
  setFlagsFromString('--memory-reducer-gc-count=0')
}
