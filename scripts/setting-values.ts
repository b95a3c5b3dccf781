import { authVariables, readAuthSettings } from '../services/auth/settings.ts'
import { ConfigError, type Fault } from '../src/config/fault.ts'
import { loadConfig } from '../src/config/load.ts'
import type { SettingDoc } from '../src/config/setting-docs.ts'
import type { Environment } from '../src/discovery/source.ts'
import { discoverySources } from '../src/discovery/sources/index.ts'
import { readDemoPort } from './demo-settings.ts'

// What a variable takes is not written down a second time: the program is given nonsense, and says what it expected.

const nonsense = '\u0007 ;%;'
const nowhere = '/nonexistent'

/** What a variable's value is to be, in the words of the error that a bad one is answered with. */
export function expectedValue({ name, group }: SettingDoc): string {
  const variable = name.replace('<NAME>', 'AUTH')
  if (variable === 'KUBERNETES_CONTEXT') return "a context of KUBECONFIG's"
  const told = complaints({ ...surroundings(group), [variable]: nonsense })
  const expected = told.find(({ place }) => place === variable)?.expected ?? 'text'
  return expected.replace(/:[^:]*\(ENOENT\)$/, '')
}

/** The variables that the programs ask for in production where nothing else is set. */
export function wantedInProduction(): ReadonlySet<string> {
  return new Set(complaints({ NODE_ENV: 'production' }).map(({ place }) => place))
}

/** What has to be set for a source or a provider to look at its variables at all. */
function surroundings(group: string): Record<string, string> {
  const [, source] = /^Discovery: (.+)/.exec(group) ?? []
  const [, provider] = /^OAuth: (.+)/.exec(group) ?? []
  if (source !== undefined) return { DISCOVERY: source }
  if (provider === undefined || provider === 'oidc') return {}
  const name = provider.toUpperCase()
  return { [`${name}_CLIENT_ID`]: 'id', [`${name}_CLIENT_SECRET`]: 'secret' }
}

interface Complaint {
  readonly place: string
  readonly expected: string
}

/** Of every program that reads variables. */
function complaints(env: Environment): readonly Complaint[] {
  return [...gatewayFaults(env).map(toComplaint), ...houseComplaints(env), ...demoComplaints(env)]
}

function gatewayFaults(env: Environment): readonly Fault[] {
  try {
    loadConfig({ env, cwd: nowhere, sources: discoverySources })
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

function toComplaint({ place, expected }: Fault): Complaint {
  return { place: 'variable' in place ? place.variable : '', expected }
}

function houseComplaints(env: Environment): readonly Complaint[] {
  return thrownBy(() => readAuthSettings({ ...env })).filter(({ place }) => place in authVariables)
}

function demoComplaints(env: Environment): readonly Complaint[] {
  return thrownBy(() => readDemoPort(env))
}

/** Errors of the form `NAME: expected …, got …`, several separated by semicolons. */
function thrownBy(read: () => unknown): readonly Complaint[] {
  try {
    read()
    return []
  } catch (error) {
    const sentences = (error as Error).message.matchAll(/([A-Z_]+): expected (.+?)(?:, got [^;]*|$)/g)
    return [...sentences].map(([, place = '', expected = '']) => ({ place, expected }))
  }
}
