import test from 'ava'
import type { Database, FollowOptions } from '../../src/persistence/database.ts'
import { createDenials, type Denial, type Denials, type DenialsOptions } from '../../src/tokens/denials.ts'
import {
  eachDatabase,
  freshEmbedded,
  postgresTest,
  sharedPostgres,
  startDatabase,
} from '../support/database.ts'
import { atMost } from '../support/figures.ts'
import { keptLog, replicaDatabases } from '../support/replicas.ts'
import { until } from '../support/until.ts'

const inAnHour = () => Math.floor(Date.now() / 1000) + 3600
const denialOf = (key: string, until = inAnHour()): Denial => ({ key, until })

function makeDenials(database: DenialsOptions['database'], given: Partial<DenialsOptions> = {}): Denials {
  const { log } = keptLog()
  // A polling interval this long leaves only notifications to hear by.
  return createDenials({ database, log, pollingIntervalMs: 60_000, maxStalenessMs: 30_000, ...given })
}

/** A replica that has read all denials there are, and hears of more. */
async function startDenials(database: Database): Promise<Denials> {
  const denials = makeDenials(database)
  denials.start()
  await until(denials.isFresh, 'the denials were read')
  return denials
}

/** A replica that reads when it is told to. */
function handDriven(database: Pick<Database, 'run'>, given: Partial<DenialsOptions> = {}) {
  let read: FollowOptions['read'] | undefined
  const follow = (options: FollowOptions) => {
    read = options.read
  }
  const denials = makeDenials({ run: database.run, follow }, given)
  denials.start()
  return { denials, read: () => read!() }
}

const write = (database: Database, ...denials: Denial[]) =>
  database.transaction((em) => makeDenials(database).write(em, denials))

eachDatabase((tested) => {
  tested.test('what one replica denies another knows within a second', async (t) => {
    const [one, other] = await replicaDatabases(t, tested, 2)
    const denials = await startDenials(other!)
    const lagsMs: number[] = []
    for (let round = 0; round < 20; round++) {
      t.false(denials.isDenied(`t${round}`, `s${round}`))
      await write(one!, denialOf(round % 2 === 0 ? `jti:t${round}` : `sid:s${round}`))
      const writtenAt = performance.now()
      await until(() => denials.isDenied(`t${round}`, `s${round}`), `round ${round}`)
      lagsMs.push(performance.now() - writtenAt)
    }
    lagsMs.sort((a, b) => a - b)
    t.log(`largest lag ${lagsMs.at(-1)?.toFixed(0)} ms`)
    // Not the largest: other tests of this thread may have it busy for that long.
    t.true(lagsMs[10]! < atMost(1000))
  })

  tested.test('a replica that starts knows what was denied before', async (t) => {
    const [database] = await replicaDatabases(t, tested, 1)
    await write(database!, denialOf('jti:token'), denialOf('sid:session'), denialOf('jti:old', 1000))
    const denials = await startDenials(database!)
    t.true(denials.isDenied('token', undefined))
    t.true(denials.isDenied(undefined, 'session'))
    t.true(denials.isDenied('another', 'session'))
    t.false(denials.isDenied('session', 'token'))
    t.false(denials.isDenied('old', undefined))
    t.false(denials.isDenied(undefined, undefined))
  })

  tested.test('a denial of a transaction that was rolled back denies nothing', async (t) => {
    const [database] = await replicaDatabases(t, tested, 1)
    const denials = await startDenials(database!)
    const undone = database!.transaction(async (em) => {
      await denials.write(em, [denialOf('jti:undone')])
      throw new Error('undone')
    })
    await t.throwsAsync(undone, { message: 'undone' })
    await write(database!, denialOf('jti:done'))
    await until(() => denials.isDenied('done', undefined), 'a later one is known')
    t.false(denials.isDenied('undone', undefined))
  })

  tested.test('what is denied twice stays denied for the longer of the two', async (t) => {
    const [database] = await replicaDatabases(t, tested, 1)
    const [soon, late] = [inAnHour(), inAnHour() + 3600]
    await write(database!, denialOf('sid:s', late), denialOf('sid:s', soon))
    await write(database!, denialOf('sid:s', soon))
    const rows = await database!.run((em) =>
      em.execute('select extract(epoch from expires_at)::float8 as until from munjigi.denials'),
    )
    t.deepEqual(rows, [{ until: late }])
  })

  tested.test('keys of any characters are stored as they are', async (t) => {
    const [database] = await replicaDatabases(t, tested, 1)
    const odd = `?'"\\$1:name;--`
    await write(database!, denialOf(`jti:${odd}`))
    t.true((await startDenials(database!)).isDenied(odd, undefined))
  })
})

const fresh = sharedPostgres()

postgresTest('a commit that was overtaken by a later one is not missed', async (t) => {
  const database = await startDatabase(t, await fresh(t))
  const { denials, read } = handDriven(database)
  await read()
  const written = Promise.withResolvers<void>()
  const commit = Promise.withResolvers<void>()
  const overtaken = database.transaction(async (em) => {
    await denials.write(em, [denialOf('jti:overtaken')])
    written.resolve()
    await commit.promise
  })
  await written.promise
  await write(database, denialOf('jti:later'))
  await read()
  t.true(denials.isDenied('later', undefined))
  t.false(denials.isDenied('overtaken', undefined))
  commit.resolve()
  await overtaken
  await read()
  t.true(denials.isDenied('overtaken', undefined))
})

postgresTest('a denial of a transaction that began long before is not missed', async (t) => {
  const database = await startDatabase(t, await fresh(t))
  const { denials, read } = handDriven(database)
  const begun = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const long = database.transaction(async (em) => {
    await em.execute('select pg_current_xact_id()')
    begun.resolve()
    await goOn.promise
    await denials.write(em, [denialOf('sid:long')])
  })
  await begun.promise
  for (let round = 0; round < 20; round++) {
    await write(database, denialOf(`jti:${round}`))
    await read()
    t.true(denials.isDenied(String(round), undefined))
  }
  goOn.resolve()
  await long
  await read()
  t.true(denials.isDenied(undefined, 'long'))
})

postgresTest('many interleaved transactions: nobody reads past one of them', async (t) => {
  const database = await startDatabase(t, await fresh(t))
  const { denials, read } = handDriven(database)
  let writing = true
  const reader = (async () => {
    while (writing) await read()
  })()
  const writers = Array.from({ length: 4 }, async (_, writer) => {
    for (let n = 0; n < 40; n++) {
      await database.transaction(async (em) => {
        await denials.write(em, [denialOf(`jti:${writer}-${n}`)])
        await em.execute('select pg_sleep(random() * 0.01)')
      })
    }
  })
  await Promise.all(writers)
  writing = false
  await reader
  await read()
  for (let writer = 0; writer < 4; writer++) {
    for (let n = 0; n < 40; n++) t.true(denials.isDenied(`${writer}-${n}`, undefined), `${writer}-${n}`)
  }
})

postgresTest('only what is new is read again', async (t) => {
  const database = await startDatabase(t, await fresh(t))
  const counts: number[] = []
  const run: Database['run'] = async (work) => {
    const result = await database.run(work)
    counts.push((result as { denials: readonly Denial[] }).denials.length)
    return result
  }
  const { read } = handDriven({ run })
  await write(database, ...Array.from({ length: 50 }, (_, n) => denialOf(`jti:${n}`)))
  await read()
  t.is(counts.at(-1), 50)
  // What other tests on this server still have open holds the horizon back.
  const nothingNew = async () => {
    await read()
    return counts.at(-1) === 0
  }
  await until(nothingNew, 'none is read again')
  await write(database, denialOf('jti:new'))
  await read()
  t.is(counts.at(-1), 1)
})

postgresTest('a restored database, whose transaction ids are lower, is read whole', async (t) => {
  const before = await startDatabase(t, await fresh(t))
  const restored = await startDatabase(t, await freshEmbedded(t))
  const idOf = async (database: Database) => {
    const rows: { id: string }[] = await database.run((em) =>
      em.execute('select pg_current_xact_id()::text as id'),
    )
    return BigInt(rows[0]!.id)
  }
  const lowest = await idOf(restored)
  while ((await idOf(before)) < lowest + 50n) {}
  let current = before
  const { denials, read } = handDriven({ run: (work) => current.run(work) })
  await read()
  current = restored
  await write(restored, denialOf('jti:after'))
  await read()
  t.true(denials.isDenied('after', undefined))
})

test('knowledge is fresh for so long after its reading began, and before the first reading not at all', async (t) => {
  let time = 0
  let reply: 'away' | 'slow' | 'well' = 'well'
  const run = async <T>(): Promise<T> => {
    if (reply === 'away') throw new Error('away')
    if (reply === 'slow') time += 25_000
    return { horizon: '1', denials: [] } as T
  }
  const { denials, read } = handDriven({ run }, { monotonicNow: () => time })
  t.false(denials.isFresh())
  await read()
  t.true(denials.isFresh())
  time += 29_999
  t.true(denials.isFresh())
  time += 1
  t.false(denials.isFresh())
  reply = 'slow'
  await read()
  t.true(denials.isFresh())
  time += 5000
  t.false(denials.isFresh())
  reply = 'away'
  await t.throwsAsync(read())
  t.false(denials.isFresh())
})

test('after a failed reading everything is read: another server may answer', async (t) => {
  const horizons: unknown[] = []
  let away = false
  const run: Database['run'] = async (work) => {
    if (away) throw new Error('away')
    const execute = async (_: string, [horizon]: unknown[]) => {
      horizons.push(horizon)
      return [{ horizon: '900', key: null }]
    }
    return work({ execute } as never)
  }
  const { read } = handDriven({ run })
  await read()
  await read()
  away = true
  await t.throwsAsync(read())
  away = false
  await read()
  t.deepEqual(horizons, ['0', '900', '0'])
})

test('this replica knows at once what it is told to remember, and forgets it when it has long expired', async (t) => {
  let time = 1_000_000
  const run = async <T>(): Promise<T> => ({ horizon: '1', denials: [] }) as T
  const { denials, read } = handDriven({ run }, { now: () => time, monotonicNow: () => time })
  denials.remember([denialOf('jti:token', 2000), denialOf('sid:session', 9000)])
  t.true(denials.isDenied('token', undefined))
  t.true(denials.isDenied(undefined, 'session'))
  time = 2_100_000
  await read()
  t.true(denials.isDenied('token', undefined), 'clocks may differ')
  time = 2_200_000
  await read()
  t.false(denials.isDenied('token', undefined))
  t.true(denials.isDenied(undefined, 'session'))
})
