import test from 'ava'
import { isLoopback } from '../../src/config/loopback.ts'

test('a host that is this machine alone is told from one that others reach', (t) => {
  for (const host of ['localhost', 'LOCALHOST', '127.0.0.1', '127.1.2.3', '::1', '[::1]']) {
    t.true(isLoopback(host), host)
  }
  for (const host of [
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '127.example.com',
    '127.0.0.1.example.com',
    'localhost.org',
  ]) {
    t.false(isLoopback(host), host)
  }
})
