import test from 'ava'
import { readTraceContext } from '../../src/door/trace-context.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const parentId = '00f067aa0ba902b7'
const good = `00-${traceId}-${parentId}-01`

const read = (...rawHeaders: string[]) => readTraceContext(rawHeaders)
const readState = (...values: string[]) =>
  read('traceparent', good, ...values.flatMap((value) => ['tracestate', value]))

/** W3C Trace Context §3.2 and §4.3; most of them are in the suite of those who wrote it. */
const traceparents: readonly (readonly [what: string, value: string, isValid: boolean])[] = [
  ['as it should be', good, true],
  ['not sampled', `00-${traceId}-${parentId}-00`, true],
  ['with flags that nobody knows yet', `00-${traceId}-${parentId}-ff`, true],
  ['of version 00 with a dot behind it', `${good}.`, false],
  ['of version 00 with a fifth field', `${good}-what-the-future-will-be-like`, false],
  ['of version 00 with an empty fifth field', `${good}-`, false],
  ['of a version to come', `cc-${traceId}-${parentId}-01`, true],
  [
    'of a version to come, with more fields',
    `cc-${traceId}-${parentId}-01-what-the-future-will-be-like`,
    true,
  ],
  ['of a version to come, with something else behind it', `cc-${traceId}-${parentId}-01.what`, false],
  ['of a version to come, with flags of three digits', `cc-${traceId}-${parentId}-010`, false],
  ['of the version that there will never be', `ff-${traceId}-${parentId}-01`, false],
  ['of a version that is no number', `.0-${traceId}-${parentId}-01`, false],
  ['of a version that is none, at its end', `0.-${traceId}-${parentId}-01`, false],
  ['of a version in upper case', `CC-${traceId}-${parentId}-01`, false],
  ['of a version of three digits', `000-${traceId}-${parentId}-01`, false],
  ['of a version of one digit', `0-${traceId}-${parentId}-01`, false],
  ['without a version', `${traceId}-${parentId}-01`, false],
  ['with a trace of zeros', `00-${'0'.repeat(32)}-${parentId}-01`, false],
  ['with a trace in upper case', `00-${traceId.toUpperCase()}-${parentId}-01`, false],
  ['with a trace that is no number', `00-.${traceId.slice(1)}-${parentId}-01`, false],
  ['with a trace that is too long', `00-${traceId}0-${parentId}-01`, false],
  ['with a trace that is too short', `00-${traceId.slice(1)}-${parentId}-01`, false],
  ['with a parent of zeros', `00-${traceId}-${'0'.repeat(16)}-01`, false],
  ['with a parent in upper case', `00-${traceId}-${parentId.toUpperCase()}-01`, false],
  ['with a parent that is no number', `00-${traceId}-${parentId.slice(1)}.-01`, false],
  ['with a parent that is too long', `00-${traceId}-${parentId}0-01`, false],
  ['with a parent that is too short', `00-${traceId}-${parentId.slice(1)}-01`, false],
  ['without flags', `00-${traceId}-${parentId}`, false],
  ['with flags that are no number', `00-${traceId}-${parentId}-.0`, false],
  ['with flags in upper case', `00-${traceId}-${parentId}-0A`, false],
  ['with flags of three digits', `00-${traceId}-${parentId}-001`, false],
  ['with flags of one digit', `00-${traceId}-${parentId}-1`, false],
  ['with underscores', good.replaceAll('-', '_'), false],
  ['with a space in front', ` ${good}`, false],
  ['that is empty', '', false],
  ['that goes on and on', `cc-${traceId}-${parentId}-01-${'x'.repeat(9000)}`, false],
  ['that is two in one', `${good}, ${good}`, false],
]

for (const [what, value, isValid] of traceparents) {
  test(`a traceparent ${what} is ${isValid ? 'a place in a trace' : 'none'}`, (t) => {
    const found = read('accept', '*/*', 'traceparent', value, 'tracestate', 'a=1')
    if (!isValid) t.is(found, undefined)
    else {
      t.like(found, { traceId, parentId, tracestate: 'a=1' })
      t.deepEqual(found?.passedOn, ['traceparent', value, 'tracestate', 'a=1'])
    }
  })
}

test('its name may be in any case, and is no other name', (t) => {
  for (const name of ['TraceParent', 'TRACEPARENT']) t.is(read(name, good)?.traceId, traceId)
  for (const name of ['trace-parent', 'trace.parent', 'x-traceparent'])
    t.is(read(name, good), undefined, name)
})

test('of two traceparents neither counts, whatever they say', (t) => {
  t.is(read('traceparent', good, 'traceparent', good), undefined)
  t.is(read('traceparent', good, 'host', 'a', 'Traceparent', 'x'), undefined)
})

test('a tracestate without a traceparent is nobody’s', (t) => {
  t.is(read('tracestate', 'a=1'), undefined)
  t.is(read(), undefined)
})

const all = 'abcdefghijklmnopqrstuvwxyz0123456789_-*/'
const printable = Array.from({ length: 0x5f }, (_, at) => String.fromCharCode(0x20 + at)).join('')
const members = (count: number) => Array.from({ length: count }, (_, at) => `k${at}=${at}`).join(',')

/** What of it is passed on; undefined for nothing. */
const tracestates: readonly (readonly [
  what: string,
  values: readonly string[],
  passedOn: string | undefined,
])[] = [
  ['of one member', ['a=1'], 'a=1'],
  ['in three headers', ['a=1,b=2', 'c=3', 'd=4'], 'a=1,b=2,c=3,d=4'],
  ['with white space', ['a=1 \t , \t b=2'], 'a=1 \t , \t b=2'],
  ['with nothing between two commas', ['a=1,,b=2'], 'a=1,,b=2'],
  ['that is empty', [''], undefined],
  ['that is empty, and another', ['', 'a=1'], ',a=1'],
  ['of commas', [',,'], undefined],
  ['with every character of a key', [`${all}=1,${all}@a-z0-9_-*/=1`], `${all}=1,${all}@a-z0-9_-*/=1`],
  [
    'with every character of a value',
    [`a=${printable.replace(/[,=]/g, '')}`],
    `a=${printable.replace(/[,=]/g, '')}`,
  ],
  ['with a key twice', ['a=1,a=2'], undefined],
  ['with a key twice, in two headers', ['a=1', 'a=1'], undefined],
  ['with a key in upper case', ['FOO=1'], undefined],
  ['with a space in a key', ['foo =1'], undefined],
  ['with a dot in a key', ['foo.bar=1'], undefined],
  ['with no system behind a tenant', ['foo@=1,bar=2'], undefined],
  ['with no tenant', ['@foo=1,bar=2'], undefined],
  ['with two tenants', ['foo@bar@baz=1,bar=2'], undefined],
  ['with a second = in it', ['foo=bar=baz'], undefined],
  ['without a value', ['foo='], undefined],
  ['without a =', ['foo'], undefined],
  ['with a character that is not ASCII', ['foo=\xe9'], undefined],
  ['of 32 members', [members(32)], members(32)],
  ['of 33 members', [members(33)], undefined],
  ['with a key of 256 characters', [`${'z'.repeat(256)}=1`], `${'z'.repeat(256)}=1`],
  ['with a key of 257 characters', [`${'z'.repeat(257)}=1`], undefined],
  ['with a tenant of 242 characters', [`${'t'.repeat(242)}@v=1`], undefined],
  ['with a system of 15 characters', [`t@${'v'.repeat(15)}=1`], undefined],
  ['with a value of 256 characters', [`a=${'v'.repeat(256)}`], `a=${'v'.repeat(256)}`],
  ['with a value of 257 characters', [`a=${'v'.repeat(257)}`], undefined],
  ['of spaces without end', [`a=${' '.repeat(9000)}1`], undefined],
]

for (const [what, values, passedOn] of tracestates) {
  test(`a tracestate ${what} is ${passedOn === undefined ? 'left out' : 'passed on'}`, (t) => {
    const found = readState(...values)
    t.is(found?.traceId, traceId, 'the traceparent is valid all the same')
    t.is(found?.tracestate, passedOn)
  })
}
