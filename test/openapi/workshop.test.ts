import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Worker } from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import { createGatewayDocument } from '../../src/openapi/document.ts'
import type { MergeJob } from '../../src/openapi/merge.ts'
import {
  createWorkshop,
  JobFailed,
  type RawDocument,
  type WorkshopLimits,
} from '../../src/openapi/workshop.ts'
import { until } from '../support/until.ts'

function start(t: ExecutionContext, limits: Partial<WorkshopLimits> = {}) {
  const workshop = createWorkshop(limits)
  t.teardown(workshop.stop)
  return workshop
}

const raw = (text: string, syntax: RawDocument['syntax'] = 'json'): RawDocument => ({
  blocks: [new Uint8Array(Buffer.from(text))],
  ...{ syntax, coding: 'identity', location: '/openapi.json', maxBytes: 32_000_000 },
})
const small = () =>
  raw('{"openapi":"3.1.0","info":{"title":"House","version":"1"},"paths":{"/a":{"get":{"responses":{}}}}}')
/** Takes a hundred times its size in memory, and a second. */
const large = () => raw(`x: [${'a,'.repeat(900_000)}]`, 'yaml')
const job: MergeJob = {
  own: createGatewayDocument({ routePrefix: '', version: '1.0.0', tokens: false, dummies: false }),
  ...{ routes: [], routePrefix: '', services: [] },
}

test('a job that needs too much memory fails alone', async (t) => {
  const workshop = start(t, { heapMb: 48 })
  const first = workshop.read(large())
  const second = workshop.read(small())
  await t.throwsAsync(first, { instanceOf: JobFailed, message: 'needs more memory than 48 MB' })
  t.is((await second).status, 'ok')
})

test('a job that takes too long is ended', async (t) => {
  const workshop = start(t, { jobMs: 1 })
  await t.throwsAsync(workshop.read(large()), { instanceOf: JobFailed, message: 'takes longer than 0.001 s' })
})

test('a merge goes ahead of documents that wait to be read', async (t) => {
  const workshop = start(t)
  const done: string[] = []
  const note = (what: string) => () => void done.push(what)
  await Promise.all([
    workshop.read(small()).then(note('first')),
    workshop.read(small()).then(note('second')),
    workshop.merge(job).then(note('merge')),
  ])
  t.deepEqual(done, ['first', 'merge', 'second'])
})

test('a job that is called off before its turn is not done', async (t) => {
  const workshop = start(t)
  const calledOff = new AbortController()
  const first = workshop.read(small())
  const second = workshop.read(small(), calledOff.signal)
  const third = workshop.read(small())
  calledOff.abort(new Error('called off'))
  await t.throwsAsync(second, { message: 'called off' })
  t.is((await first).status, 'ok')
  t.is((await third).status, 'ok')
})

test('what is under way fails when the workshop stops, and what comes after', async (t) => {
  const workshop = start(t)
  const first = workshop.read(large())
  const second = workshop.read(small())
  const failing = Promise.all([t.throwsAsync(first), t.throwsAsync(second)])
  await workshop.stop()
  await failing
  await t.throwsAsync(workshop.read(small()), { instanceOf: JobFailed })
})

test.serial(
  'there is no thread before the first job, nor once there has been none for a while',
  async (t) => {
    const threads: { ended: boolean }[] = []
    const note = (message: unknown) => {
      const thread = { ended: false }
      threads.push(thread)
      const { worker } = message as { worker: Worker }
      worker.once('exit', () => {
        thread.ended = true
      })
    }
    subscribe('worker_threads', note)
    t.teardown(() => unsubscribe('worker_threads', note))
    const workshop = start(t, { idleMs: 20 })
    t.is(threads.length, 0)
    t.is((await workshop.read(small())).status, 'ok')
    t.is(threads.length, 1)
    await until(() => threads[0]!.ended, 'the thread ends')
    t.is((await workshop.read(small())).status, 'ok')
    t.is(threads.length, 2)
  },
)
