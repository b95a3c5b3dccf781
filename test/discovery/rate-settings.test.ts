import test from 'ava'
import { descriptionSchema } from '../../src/discovery/description.ts'

const read = (rate: unknown) => descriptionSchema.parse({ rate }).rate
const complaint = (rate: unknown) => descriptionSchema.safeParse({ rate }).error?.issues[0]?.message

const spellings: readonly [text: string, requests: number, seconds: number, per: 'user' | 'address'][] = [
  ['100/min per user', 100, 60, 'user'],
  ['100/minute', 100, 60, 'user'],
  ['100/m per address', 100, 60, 'address'],
  ['10/s per address', 10, 1, 'address'],
  ['10/sec', 10, 1, 'user'],
  ['10 / second per  user', 10, 1, 'user'],
  ['5/h', 5, 3600, 'user'],
  ['5/hour', 5, 3600, 'user'],
  ['1/d', 1, 86_400, 'user'],
  ['9999999/day', 9_999_999, 86_400, 'user'],
  ['50/10s', 50, 10, 'user'],
  ['1000/6h per address', 1000, 21_600, 'address'],
]

for (const [text, requests, seconds, per] of spellings) {
  test(`"${text}" is ${requests} in ${seconds} s for each ${per}`, (t) => {
    t.deepEqual(read(text), [{ requests, seconds, per }])
  })
}

test('several rates are a list, or one text with commas', (t) => {
  const expected = [
    { requests: 10, seconds: 1, per: 'address' },
    { requests: 1000, seconds: 3600, per: 'user' },
  ] as const
  t.deepEqual(read('10/s per address, 1000/h per user'), expected)
  t.deepEqual(read(['10/s per address', '1000/h']), expected)
})

for (const wrong of [
  '100',
  '0/s',
  '5/500ms',
  '5/0s',
  '5/25h',
  '5/2d',
  '-1/s',
  '1.5/s',
  '5/s per client',
  '5/s,',
  '',
  7,
  [],
]) {
  test(`${JSON.stringify(wrong)} is no rate`, (t) => {
    t.regex(complaint(wrong) ?? '', /^expected a rate such as 100\/min per user/)
  })
}

test('more than eight rates are a mistake, as a list and as one text', (t) => {
  const nine = Array.from({ length: 9 }, (_, i) => `5/${i + 1}s`)
  t.is(complaint(nine.join(', ')), 'expected at most 8 rates')
  t.not(complaint(nine), undefined)
  t.is(complaint(nine.slice(1).join(',')), undefined)
})

test('the same window twice for the same callers is a mistake', (t) => {
  t.is(complaint('5/min, 7/60s'), 'expected rates that differ in how long, or in for whom')
  t.is(complaint('5/min per address, 7/60s'), undefined)
})
