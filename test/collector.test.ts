import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import test from 'ava'

const module = new URL('../src/collector.ts', import.meta.url).href

/** A process that uses memory and then rests, and what V8 says of its memory reducer, which looks 8 s after a collection. */
function resting(first: string) {
  const script = `
    ${first}
    const kept = []
    for (let round = 0; round < 4; round++) {
      for (let index = 0; index < 3e5; index++) kept.push({ index, text: String(index) })
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    kept.length = 0
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--trace-memory-reducer', '--input-type=module', '-e', script])
  return { child, lines: createInterface(child.stdout) }
}

test('a process at rest is left alone, where node by itself would collect and forget compiled code', async (t) => {
  const plain = resting('')
  const warm = resting(`(await import(${JSON.stringify(module)})).keepCompiledCode()`)
  t.teardown(() => {
    for (const { child } of [plain, warm]) child.kill('SIGKILL')
  })
  const said: string[] = []
  warm.lines.on('line', (line) => said.push(line))

  const looked = once(warm.lines, 'line')
  for await (const line of plain.lines) if (/Memory reducer: (waiting|started)/.test(line)) break
  await looked
  warm.child.kill('SIGKILL')
  await once(warm.child, 'close')
  t.regex(said.join('\n'), /Memory reducer: /)
  t.notRegex(said.join('\n'), /waiting|started/)
})

/** How many collections, of young objects and of all, there are while two gigabytes pass through a process in buffers. */
async function collectionsOf(first: string): Promise<{ readonly young: number; readonly full: number }> {
  const script = `
    ${first}
    const { PerformanceObserver, constants } = await import('node:perf_hooks')
    let [young, full] = [0, 0]
    const count = (entries) => {
      for (const { detail } of entries) {
        if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) full++
        if (detail.kind === constants.NODE_PERFORMANCE_GC_MINOR) young++
      }
    }
    const observer = new PerformanceObserver((list) => count(list.getEntries()))
    observer.observe({ entryTypes: ['gc'] })
    const ring = []
    for (let index = 0; index < 32768; index++) {
      ring[index % 4] = Buffer.allocUnsafeSlow(65536)
      passed(65536)
      if (index % 8 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    count(observer.takeRecords())
    console.log(JSON.stringify({ young, full }))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  return JSON.parse(line)
}

test('buffers that pass do not have the whole heap collected', async (t) => {
  const plain = await collectionsOf('const passed = () => {}')
  const collected = await collectionsOf(
    `const passed = (await import(${JSON.stringify(module)})).createBufferCollector()`,
  )
  // 2 GiB by 32 MiB are 64, some of them as part of a full one. How many full ones that saves depends on when V8's threads get to run.
  t.true(collected.young >= 40, `${collected.young} of young objects`)
  t.true(plain.young < 20, `${plain.young} in node itself: else this has become needless`)
  t.true(collected.full < plain.full, `${collected.full} full ones instead of ${plain.full}`)
})
