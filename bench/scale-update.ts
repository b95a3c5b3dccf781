import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { createAddressBook } from '../src/discovery/address-book.ts'
import type { Publish, Service } from '../src/discovery/source.ts'
import { createOutlierDetection } from '../src/proxy/outlier.ts'
import { createProxyRoutes } from '../src/proxy/routes.ts'
import { createUpstreams } from '../src/proxy/upstreams.ts'
import { instanceAddress, instancesPerService, serviceName } from './scale-services.ts'

/** Milliseconds of event-loop time from a snapshot's publication until requests meet the new routes. */
export interface UpdateTimes {
  /** Of the first table. */
  readonly first: number
  /** Of tables in which one service has lost or regained an instance; the source hands the others over as they were. */
  readonly one: readonly number[]
  /** The same, from a source that makes every object anew. */
  readonly oneAmongCopies: readonly number[]
  /** Of tables in which that is so of every service. */
  readonly all: readonly number[]
}

/** The gateway's own parts, put together as gateway.ts does, with a source that is told what to publish. */
export async function measureUpdates(count: number, times: number): Promise<UpdateTimes> {
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  let publish: Publish = () => {}
  const source = {
    name: 'scale',
    settings: z.any(),
    watch: (_options: unknown, tell: Publish) => {
      publish = tell
      return new Promise<void>(() => {})
    },
  }
  const addressBook = createAddressBook({
    discovery: { sources: [{ source, options: undefined }], holdMs: 60_000 },
    overrides: new Map(),
    reserved: () => false,
    log,
  })
  const outliers = createOutlierDetection({ log })
  const upstreams = createUpstreams({ connectTimeoutMs: 5000, idleTimeoutMs: 60_000 })
  const random = Math.random
  const routes = createProxyRoutes({ upstreams, outliers, defaultTimeoutMs: 15_000, random, log })
  addressBook.subscribe(routes.update)
  addressBook.start()

  /** Changes that come within 20 ms are put together, which would not be measured: hence the pause. */
  async function timed(services: readonly Service[]): Promise<number> {
    await sleep(25)
    const before = addressBook.current().version
    const startedAt = performance.now()
    publish(services)
    const ms = performance.now() - startedAt
    if (addressBook.current().version !== before + 1) throw new Error('the update was put off, or lost')
    return ms
  }

  let services = Array.from({ length: count }, (_, number) => serviceOf(number))
  const first = await timed(services)
  const [one, oneAmongCopies, all]: [number[], number[], number[]] = [[], [], []]
  for (let turn = 1; turn <= times; turn += 1) {
    services = services.with((turn * 7) % count, serviceOf((turn * 7) % count, turn % 2))
    one.push(await timed(services))
    services = services.with((turn * 3) % count, serviceOf((turn * 3) % count, 2 + (turn % 2)))
    oneAmongCopies.push(await timed(structuredClone(services)))
    services = services.map((_, number) => serviceOf(number, 4 + (turn % 2)))
    all.push(await timed(services))
  }
  await addressBook.stop()
  outliers.stop()
  await upstreams.destroy()
  return { first, one, oneAmongCopies, all }
}

function serviceOf(number: number, missing?: number): Service {
  const instances = Array.from({ length: instancesPerService }, (_, instance) => ({
    id: `${serviceName(number)}-${instance}@node-${instance}`,
    origin: `http://${instanceAddress(number, instance)}:8001`,
  }))
  return {
    name: serviceName(number),
    instances: instances.filter((_, instance) => instance !== missing),
    description: {
      enable: true,
      auth: 'none',
      path: [`/api/${serviceName(number)}`],
      strip: '/api',
      openapi: false,
    },
  }
}
