import { parseArgs } from 'node:util'

export interface Options {
  readonly rounds: number
  /** Length of each measured run. */
  readonly seconds: number
  readonly warmUpSeconds: number
  /** Names of the relays to run; undefined runs all that are on this machine. */
  readonly relays: readonly string[] | undefined
  readonly connections: number
  /** Where the results are written; undefined only prints them. */
  readonly output: string | undefined
  readonly smoke: boolean
  /** The scenario to profile; the first one unless told. */
  readonly scenario: string | undefined
  /** The relay to profile instead of measuring. */
  readonly profile: string | undefined
}

const usage = `npm run bench -- [options]
  --rounds N       interleaved rounds (3)
  --seconds N      length of each measured run (4)
  --warm-up N      seconds of load before anything is measured (5)
  --relays a,b     only these; nothing is written unless --output says where
  --output FILE    where to write the results (bench/RESULTS.md)
  --smoke          one short round of munjigi, bare and @fastify/http-proxy; exits 1 when one errs; writes nothing
  --profile        profile munjigi (or the relay that --relays names) under one scenario: CPU by package and function
  --scenario NAME  the scenario to profile (GET 200 B)`

/** Reads the command line; throws an Error that names the option at fault. */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      'warm-up': { type: 'string' },
      relays: { type: 'string' },
      output: { type: 'string' },
      smoke: { type: 'boolean', default: false },
      scenario: { type: 'string' },
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) throw new Error(usage)
  const smoke = values.smoke
  const relays = smoke ? ['munjigi', 'bare', '@fastify/http-proxy'] : values.relays?.split(',')
  return {
    rounds: positive('--rounds', values.rounds, smoke ? 1 : 3),
    seconds: positive('--seconds', values.seconds, smoke ? 1 : 4),
    warmUpSeconds: positive('--warm-up', values['warm-up'], smoke ? 1 : 5),
    relays,
    connections: 32,
    output: values.output ?? (relays ? undefined : new URL('RESULTS.md', import.meta.url).pathname),
    smoke,
    scenario: values.scenario,
    profile: values.profile ? (relays?.[0] ?? 'munjigi') : undefined,
  }
}

function positive(name: string, text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text)
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`${name} ${text}: expected a whole number from 1 on`)
  return value
}
