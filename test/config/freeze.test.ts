import test from 'ava'
import { load } from '../support/config.ts'

const yaml = 'services:\n  auth:\n    urls: [http://localhost:8001]\n    path: [/api/users]\n'

test('nothing in the configuration can be changed', (t) => {
  const config = load(t, { yaml })
  const mutable: string[] = []
  const visit = (value: unknown, path: string) => {
    if (typeof value !== 'object' || value === null) return
    if (!Object.isFrozen(value)) mutable.push(path)
    if (value instanceof Map) for (const [key, item] of value) visit(item, `${path}.${key}`)
    // A source is code, not configuration.
    else for (const [key, item] of Object.entries(value)) if (key !== 'source') visit(item, `${path}.${key}`)
  }
  visit(config, 'config')
  t.deepEqual(mutable, [])
  t.throws(() => (config.timeouts as { idleMs: number }).idleMs++, { instanceOf: TypeError })
})

test('its maps refuse to be written to', (t) => {
  const services = load(t, { yaml }).services as Map<string, object>
  t.throws(() => services.set('other', {}), { message: 'The configuration is frozen' })
  t.throws(() => services.delete('auth'), { message: 'The configuration is frozen' })
  t.throws(() => services.clear(), { message: 'The configuration is frozen' })
  t.deepEqual([...services.keys()], ['auth'])
})
