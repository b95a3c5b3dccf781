import { EventEmitter, once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { ExecutionContext } from 'ava'
import {
  eachDatabase,
  ownPostgres,
  postgresConfig,
  postgresTest,
  startDatabase,
} from '../support/database.ts'
import { atMost } from '../support/figures.ts'
import { execute } from '../support/postgres.ts'

/** Counts reads, and lets a test await the next. */
function createReads() {
  const events = new EventEmitter()
  let count = 0
  return {
    read: async () => {
      count++
      events.emit('read')
    },
    count: () => count,
    async reach(wanted: number) {
      while (count < wanted) await once(events, 'read')
    },
  }
}

const neverMs = 3_600_000

eachDatabase(({ test, fresh }) => {
  test('what is followed is read at once', async (t) => {
    const database = await startDatabase(t, await fresh(t))
    const reads = createReads()
    database.follow({ channel: 'changes', intervalMs: neverMs, read: reads.read })
    t.is(reads.count(), 1)
  })

  test('a notification leads to a read within a second', async (t) => {
    const database = await startDatabase(t, await fresh(t))
    const reads = createReads()
    database.follow({ channel: 'changes', intervalMs: neverMs, read: reads.read })
    // One when it begins to follow, one when it has begun to listen.
    await reads.reach(2)
    const before = performance.now()
    await database.transaction((em) => em.execute('notify changes'))
    await reads.reach(3)
    t.true(performance.now() - before < atMost(1000))
  })

  test('it is read every interval without any notification', async (t) => {
    const database = await startDatabase(t, await fresh(t))
    const reads = createReads()
    database.follow({ channel: 'changes', intervalMs: 20, read: reads.read })
    await reads.reach(5)
    t.pass()
  })

  test('reads never overlap, and what came during one leads to one more', async (t) => {
    const database = await startDatabase(t, await fresh(t))
    const reads = createReads()
    let running = 0
    let most = 0
    const gate = Promise.withResolvers<void>()
    database.follow({
      channel: 'changes',
      intervalMs: neverMs,
      async read() {
        most = Math.max(most, ++running)
        await reads.read()
        if (reads.count() === 3) await gate.promise
        running--
      },
    })
    await reads.reach(2)
    for (let i = 0; i < 10; i++) await database.run((em) => em.execute('notify changes'))
    await reads.reach(3)
    for (let i = 0; i < 10; i++) await database.run((em) => em.execute('notify changes'))
    gate.resolve()
    await reads.reach(4)
    t.is(most, 1)
    t.true(reads.count() < 12)
  })

  test('a read that failed is tried again well before the interval', async (t) => {
    const database = await startDatabase(t, await fresh(t))
    const reads = createReads()
    database.follow({
      channel: 'changes',
      intervalMs: neverMs,
      async read() {
        await reads.read()
        if (reads.count() < 4) throw new Error('not now')
      },
    })
    await reads.reach(4)
    t.pass()
  })

  test('stop waits for a read that is under way, and no other follows', async (t) => {
    const database = await startDatabase(t, await fresh(t))
    const gate = Promise.withResolvers<void>()
    const reads = createReads()
    let ended = false
    database.follow({
      channel: 'changes',
      intervalMs: 1,
      async read() {
        await reads.read()
        await gate.promise
        ended = true
      },
    })
    const stopped = database.stop()
    gate.resolve()
    await stopped
    t.true(ended)
    t.is(reads.count(), 1)
  })
})

postgresTest('a listening connection that is cut is made anew, and what it missed is read', async (t) => {
  const server = await ownPostgres(t)
  const database = await startDatabase(t, postgresConfig(server.url))
  const reads = createReads()
  database.follow({ channel: 'changes', intervalMs: neverMs, read: reads.read })
  await reads.reach(2)
  const [listening] = await execute(
    server.url,
    `select pid from pg_stat_activity where query like 'listen %'`,
  )
  await execute(server.url, `select pg_terminate_backend(${listening?.pid})`)
  const before = performance.now()
  await reads.reach(3)
  t.true(performance.now() - before < atMost(2000))
  await execute(server.url, 'notify changes')
  await reads.reach(4)
})

postgresTest(
  'after a partition neither the pool nor the listening connection waits for its dead ones',
  async (t) => {
    const server = await ownPostgres(t)
    const relay = await startRelay(t, server.url)
    const database = await startDatabase(t, postgresConfig(relay.url, { statementTimeoutMs: 500 }))
    const select = () => database.run((em) => em.execute('select pg_sleep(0.05)'))
    const reads = createReads()
    database.follow({ channel: 'changes', intervalMs: neverMs, read: reads.read })
    await reads.reach(2)
    // All of the pool's connections are open, and idle.
    await Promise.all(Array.from({ length: 5 }, select))
    relay.silenceOpenConnections()
    await t.throwsAsync(select(), { message: 'Database unavailable' })
    // Who waited for a dead one would be told that the database is unavailable.
    await Promise.all(Array.from({ length: 5 }, select))
    await reads.reach(3)
    await execute(server.url, 'notify changes')
    await reads.reach(4)
  },
)

/** A TCP relay in front of a server that can swallow what travels on the connections of now. */
async function startRelay(t: ExecutionContext, url: string) {
  const target = new URL(url)
  const port = Number(target.port)
  const sockets = new Set<Socket>()
  const relay = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    }
    near.on('data', (data) => !silent.has(near) && far.write(data))
    far.on('data', (data) => !silent.has(near) && near.write(data))
    near.on('close', () => far.destroy())
    far.on('close', () => !silent.has(near) && near.destroy())
  })
  const silent = new Set<Socket>()
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    relay.close()
  })
  target.port = String((relay.address() as AddressInfo).port)
  return {
    url: target.href,
    silenceOpenConnections() {
      for (const socket of sockets) silent.add(socket)
    },
  }
}
