import test from 'ava'
import { parseCacheControl } from '../../src/cache/cache-control.ts'
import { isNotModified } from '../../src/cache/conditional.ts'
import { varyOf } from '../../src/cache/entry.ts'
import { httpDate } from '../../src/cache/http-date.ts'
import { cpuMs } from '../support/figures.ts'

for (const [text, directives] of [
  ['', {}],
  ['max-age=60', { 'max-age': '60' }],
  ['MAX-AGE="60" , Public', { 'max-age': '60', public: true }],
  ['max-age=60, max-age=10', { 'max-age': '10' }],
  ['max-age', { 'max-age': '0' }],
  ['max-age=-1, s-maxage=1.5', { 'max-age': '0', 's-maxage': '0' }],
  ['max-age = 60', { 'max-age': '60' }],
  ['private="a, no-store", no-cache', { private: 'a, no-store', 'no-cache': true }],
  ['x="a\\"b, no-store", public', { x: 'a"b, no-store', public: true }],
  [',, ,public,,', { public: true }],
  ['x="never closed, no-store', { x: '', 'no-store': true }],
  ['max-age=9999999999999999999', { 'max-age': '2147483648' }],
  ['max-age=60 private', { 'max-age': '0', private: true }],
  ['max-age=60; no-store', { 'max-age': '0', 'no-store': true }],
  ['public; Private', { private: true }],
  ['public; max-age=60', {}],
  ['private; public', { private: true }],
  ['x="a" no-cache', { x: 'a', 'no-cache': true }],
] as const) {
  test(`Cache-Control: ${text || 'nothing'}`, (t) => {
    t.deepEqual(Object.fromEntries(parseCacheControl(text)), directives)
  })
}

test('a Cache-Control of 64 KB of anything is read in no time', (t) => {
  for (const piece of ['"', 'a="', 'a="\\', ',', 'a=,', 'a ', '\\"', 'a="b"x']) {
    const text = piece.repeat(65_536 / piece.length)
    const took = cpuMs(() => void parseCacheControl(text))
    t.true(took < 2000, `${piece}… took ${took} ms`)
  }
})

test('a stored error is not judged by conditions', (t) => {
  const stored = { status: 404, etag: '"a"', lastModified: undefined, date: undefined }
  t.false(isNotModified(stored, { ifNoneMatch: '"a"', ifModifiedSince: undefined }))
})

test('without a date of change the date of the reply stands for it', (t) => {
  const date = 'Mon, 01 Jan 2024 00:00:00 GMT'
  const stored = { status: 200, etag: undefined, lastModified: undefined, date }
  t.true(isNotModified(stored, { ifNoneMatch: undefined, ifModifiedSince: date }))
})

test('a reply that lets in one origin varies by Origin, but where the gateway says which are let in', (t) => {
  t.deepEqual(varyOf({ 'access-control-allow-origin': 'https://a.example' }, false), ['origin'])
  t.deepEqual(varyOf({ 'access-control-allow-origin': 'https://a.example' }, true), [])
  t.deepEqual(varyOf({ 'access-control-allow-origin': '*' }, false), [])
})

for (const [text, date] of [
  ['Sun, 06 Nov 1994 08:49:37 GMT', '1994-11-06T08:49:37.000Z'],
  ['Sunday, 06-Nov-94 08:49:37 GMT', '1994-11-06T08:49:37.000Z'],
  ['Sun Nov  6 08:49:37 1994', '1994-11-06T08:49:37.000Z'],
  ['3600', undefined],
  ['2050', undefined],
  ['Sun, 3600', undefined],
  ['Sun, 06 Nov 1994 08:49:37 +0900', undefined],
  ['Sun, 99 Nov 1994 08:49:37 GMT', undefined],
  ['', undefined],
] as const) {
  test(`${text || 'nothing'} is ${date === undefined ? 'no' : 'a'} date`, (t) => {
    const ms = httpDate(text)
    t.is(Number.isNaN(ms) ? undefined : new Date(ms).toISOString(), date)
  })
}

test('the names in Vary, whatever their case and order', (t) => {
  t.deepEqual(varyOf({ vary: 'B , a,b' }, false), ['a', 'b'])
  t.deepEqual(varyOf({ 'content-encoding': 'br' }, false), ['accept-encoding'])
  t.deepEqual(varyOf({}, false), [])
})
