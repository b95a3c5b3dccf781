import test from 'ava'
import type { SourceInput } from '../../../src/discovery/source.ts'
import { staticSource } from '../../../src/discovery/sources/static.ts'
import { watchSource } from '../../support/watch-source.ts'

function input(urls: Record<string, string[]>, environment: SourceInput['environment'] = {}): SourceInput {
  return { environment, urls: new Map(Object.entries(urls)) }
}

function issuesOf(given: SourceInput) {
  return staticSource.settings.safeParse(given).error?.issues ?? []
}

test('each URL is an instance of its service, with the origin as its id', async (t) => {
  const options = staticSource.settings.parse(
    input({ auth: ['http://localhost:8001', 'https://auth.example:443'], shop: ['http://[::1]:9000'] }),
  )
  const watched = watchSource(t, staticSource, options)
  await watched.until(() => true)
  t.deepEqual(watched.snapshots, [
    [
      {
        name: 'auth',
        instances: [
          { id: 'http://localhost:8001', origin: 'http://localhost:8001' },
          { id: 'https://auth.example', origin: 'https://auth.example' },
        ],
        description: {},
      },
      {
        name: 'shop',
        instances: [{ id: 'http://[::1]:9000', origin: 'http://[::1]:9000' }],
        description: {},
      },
    ],
  ])
})

test('two spellings of one URL are one instance', async (t) => {
  const options = staticSource.settings.parse(input({ auth: ['http://auth:80', 'http://AUTH/'] }))
  const watched = watchSource(t, staticSource, options)
  await watched.until(() => true)
  t.deepEqual(watched.snapshots[0]?.[0]?.instances, [{ id: 'http://auth', origin: 'http://auth' }])
})

test('without any URL the snapshot is empty', async (t) => {
  const watched = watchSource(t, staticSource, staticSource.settings.parse(input({})))
  await watched.until(() => true)
  t.deepEqual(watched.snapshots, [[]])
})

test('an SRV URL is refused, naming the variable it came in and the source that can read it', (t) => {
  const urls = { 'user-profile': ['srv+http://_http._tcp.profile.service.consul'] }
  const environment = { USER_PROFILE_SERVICE_URL: 'srv+http://_http._tcp.profile.service.consul' }
  const [issue, ...others] = issuesOf(input(urls, environment))
  t.deepEqual(issue?.path, ['environment', 'USER_PROFILE_SERVICE_URL'])
  t.regex(issue?.message ?? '', /DISCOVERY=dns/)
  t.deepEqual(others, [])
})

test('an SRV URL that came from the file is refused, naming the service', (t) => {
  const [issue] = issuesOf(input({ auth: ['http://auth:8000', 'srv+https://_https._tcp.auth'] }))
  t.deepEqual(issue?.path, ['urls', 'auth'])
})

test('an instance has the weight that its URL says', async (t) => {
  const options = staticSource.settings.parse(
    input({ auth: ['http://a:1; weight=3', 'http://b:1', 'http://c:1; weight=0'] }),
  )
  const watched = watchSource(t, staticSource, options)
  await watched.until(() => true)
  t.deepEqual(watched.snapshots[0]?.[0]?.instances, [
    { id: 'http://a:1', origin: 'http://a:1', weight: 3 },
    { id: 'http://b:1', origin: 'http://b:1' },
    { id: 'http://c:1', origin: 'http://c:1', weight: 0 },
  ])
})
