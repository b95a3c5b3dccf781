import test from 'ava'
import type { Description } from '../../src/discovery/description.ts'
import { createDrafting } from '../../src/discovery/draft.ts'
import { buildRoutes } from '../../src/discovery/merge.ts'
import { emptyTable } from '../../src/discovery/table.ts'
import { service } from '../support/hand-source.ts'

const a = 'http://127.0.0.1:1'
const b = 'http://127.0.0.1:2'

function build(
  services: readonly ReturnType<typeof service>[],
  overrides: Readonly<Record<string, Description>>,
  complete = true,
) {
  const known = services.map((one) => ({ service: one, vanished: false }))
  return buildRoutes(known, {
    draft: createDrafting(() => false),
    overrides: new Map(Object.entries(overrides)),
    ...{ previous: emptyTable, complete },
  })
}

const users = (description: Description = {}) => service('users', [a], { path: ['/users'], ...description })
const next = (description: Description = {}) => service('next', [b], description)

test('a canary is found at the stable service’s paths, cut alike, with settings of its own', (t) => {
  const { routes, problems } = build(
    [
      users({ path: ['/x/users', '/x/user'], strip: '/x', inject: 'google', timeout: 1, auth: 'required' }),
      next({ timeout: 2, retries: 0, inject: 'kakao', strip: '' }),
    ],
    { next: { 'canary-of': 'users', 'canary-percent': 5 } },
  )
  t.deepEqual(problems, [])
  t.deepEqual(
    routes.map(({ prefix, canary }) => [prefix, canary?.route.prefix, canary?.percent]),
    [
      ['/x/users', '/x/users', 5],
      ['/x/user', '/x/user', 5],
    ],
  )
  t.like(routes[0]!.canary!.route, {
    service: 'next',
    strip: '/x',
    inject: 'google',
    timeoutMs: 2,
    retries: 0,
    auth: 'required',
  })
  t.deepEqual(routes[0]!.canary!.route.instances, next().instances)
})

for (const [key, word] of [
  ['canary-of', { 'canary-of': 'users', 'canary-percent': 100 }],
  ['mirror-to', { 'mirror-to': 'users' }],
] as const) {
  test(`what a service says of itself is not heard: ${key}`, (t) => {
    const { routes, problems } = build([users(), next(word)], {})
    t.true(routes.every(({ canary, mirror }) => canary === undefined && mirror === undefined))
    t.is(problems.length, 1)
    t.true(problems[0]!.includes(`${key}=users of itself: only gateway.yaml can say so`))
    if (key === 'canary-of')
      t.deepEqual(
        routes.map(({ prefix }) => prefix),
        ['/users'],
      )
  })
}

test('of two canaries the second gets nothing', (t) => {
  const word = { 'canary-of': 'users', 'canary-percent': 5 } as const
  const { routes, problems } = build([users(), next(), service('other', [b])], { next: word, other: word })
  t.is(routes[0]!.canary!.route.service, 'next')
  t.deepEqual(problems, ['services next and other are both canaries of users: other gets nothing'])
})

test('a canary has no canary, and is not its own: that is said before every source has spoken', (t) => {
  for (const [of, other] of [
    ['next', {}],
    ['users', { users: { 'canary-of': 'next', 'canary-percent': 5 } }],
  ] as const) {
    const { problems } = build(
      [users(), next()],
      { next: { 'canary-of': of, 'canary-percent': 5 }, ...other },
      false,
    )
    t.true(problems.includes(`service next is a canary of ${of}, which is a canary itself: it gets nothing`))
  }
})

test('a canary that nothing leads to is a problem', (t) => {
  t.regex(
    build([users(), next()], { next: { 'canary-of': 'users' } }).problems[0]!,
    /without canary-percent or canary-header/,
  )
})

for (const [title, overrides, problem] of [
  [
    'a canary of',
    { next: { 'canary-of': 'usres', 'canary-percent': 5 } },
    /canary of usres, which has no route/,
  ],
  ['mirrored to', { users: { 'mirror-to': 'nxet' } }, /mirror-to=nxet: nobody knows of that service/],
] as const) {
  test(`${title} a service that is not there: a problem once every source has spoken`, (t) => {
    t.deepEqual(build([users(), next()], overrides, false).problems, [])
    const { problems } = build([users({ path: ['/a', '/b'] }), next()], overrides)
    t.is(problems.length, 1)
    t.regex(problems[0]!, problem)
  })
}

for (const [title, usersWord, nextWord, isMirrored] of [
  ['asks for no more', { auth: 'none' }, { auth: 'none' }, true],
  ['says nothing of it', { auth: 'none' }, {}, true],
  ['asks for a token', { auth: 'optional' }, { auth: 'required' }, false],
  ['asks for a scope', { auth: 'required' }, { auth: 'required', scope: ['x'] }, false],
  [
    'asks for more at one of its paths',
    { auth: 'none' },
    { auth: 'none', path: ['/n', { prefix: '/n/me', auth: 'required' }] },
    false,
  ],
] as const) {
  test(`mirrored to a service that ${title}: ${isMirrored}`, (t) => {
    const { routes } = build([users(usersWord), next(nextWord as Description)], {
      users: { 'mirror-to': 'next' },
    })
    const route = routes.find(({ service: name }) => name === 'users')
    t.is(route?.mirror?.route.service, isMirrored ? 'next' : undefined)
  })
}

test('what injects a provider’s token is not mirrored', (t) => {
  const { routes, problems } = build([users({ inject: 'google', auth: 'required' }), next()], {
    users: { 'mirror-to': 'next' },
  })
  t.true(routes.every(({ mirror }) => mirror === undefined))
  t.regex(problems[0]!, /has inject=google: nothing is mirrored/)
})

test('how much goes where is without effect where it is not said where', (t) => {
  const { problems } = build([users()], {
    users: { 'canary-percent': 5, 'mirror-percent': 10 },
    elsewhere: { 'canary-header': { name: 'x-canary', value: '1' } },
  })
  t.deepEqual(problems, [
    'service users: canary-percent has no effect without canary-of',
    'service users: mirror-percent has no effect without mirror-to',
    'service elsewhere: canary-header has no effect without canary-of',
  ])
})
