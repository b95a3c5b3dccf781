import { readFileSync } from 'node:fs'
import test from 'ava'
import manifest from '../../package.json' with { type: 'json' }
import { authVariables } from '../../services/auth/settings.ts'
import { settings } from '../../src/config/settings.ts'

const text = readFileSync('.railway/railway.ts', 'utf8')
/** The text of one service, up to its end. */
const serviceOf = (name: string) =>
  new RegExp(`service\\('${name}', \\{[\\s\\S]*?\\n {2}\\}\\)`).exec(text)?.[0] ?? ''
const variablesOf = (name: string) =>
  [...serviceOf(name).matchAll(/^ {6}([A-Z_]+):/gm)].map(([, variable]) => variable!)

test('Railway sets no variable that its service does not read', (t) => {
  const gateway = variablesOf('gateway')
  t.true(gateway.length > 5)
  for (const variable of gateway)
    t.true(variable in settings || /^[A-Z]+_SERVICE_URL$/.test(variable), variable)
  // PORT is for Railway itself there, which asks for the health at it.
  const auth = variablesOf('auth').filter((variable) => variable !== 'PORT')
  t.true(auth.length > 5)
  for (const variable of auth) t.true(variable in authVariables || variable in settings, variable)
})

test('Railway runs the released images of this version, and sets all that production asks for', (t) => {
  t.is(/^const version = '(.*)'$/m.exec(text)?.[1], manifest.version)
  const required = Object.entries(settings).flatMap(([name, setting]) =>
    'inProduction' in setting ? [name] : [],
  )
  for (const name of [...required, 'DATABASE_URL', 'ENCRYPTION_KEYS'])
    t.true(variablesOf('gateway').includes(name), name)
  t.regex(serviceOf('auth'), /AUTH_CLIENT_SECRET: preserve\(\)/)
})

test('Railway waits with SIGKILL for longer than a gateway takes to drain', (t) => {
  const seconds = Number(/drainingSeconds: (\d+)/.exec(serviceOf('gateway'))?.[1])
  const of = (value: string) => Number(/^(\d+)s$/.exec(value)?.[1])
  t.true(seconds > of(settings.DRAIN_DELAY.default.production) + of(settings.DRAIN_TIMEOUT.default))
})
