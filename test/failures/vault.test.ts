import { ownPostgres } from '../support/database.ts'
import { journey } from '../support/journeys.ts'
import { freezeInMidCall, killHolder, refreshTogether, startRace, statusesOf } from '../support/oauth-race.ts'
import { row, scaled } from './row.ts'

const delayMs = scaled(1000, 3000)
const [statementMs, connectMs] = [2000, 1000]
const callers = 50

row(
  'one-refresh',
  async (t, see) => {
    const server = await ownPostgres(t)
    const env = {
      DATABASE_STATEMENT_TIMEOUT: `${statementMs}ms`,
      DATABASE_CONNECT_TIMEOUT: `${connectMs}ms`,
      REVOCATION_MAX_STALENESS: '120s',
    }
    const start = async () =>
      startRace(t, { databaseUrl: await server.createDatabase(), env, callers, delayMs })
    const [first, second] = await Promise.all([start(), start()])

    const together = await refreshTogether(t, first)
    see(
      `${together.answers.length} refreshes at once over two gateways, the provider takes ${seconds(delayMs)}: ` +
        `${together.asked} call, one token for all within ${seconds(together.slowestMs)}`,
    )
    await first.there.expire([first.user.id])
    // The journeys of the vault freeze it in the suite.
    if (scaled(0, 1) === 1) {
      const boundMs = delayMs + statementMs + connectMs + 4000
      const frozen = await freezeInMidCall(t, first, server, boundMs)
      see(
        `PostgreSQL frozen in mid-call: ${frozen.answers.length} × 503 within ${seconds(frozen.slowestMs)}, the rotated ` +
          `token served by both ${seconds(frozen.recoveryMs)} after it, asked once`,
      )
      await first.there.expire([first.user.id])
    }
    const [before, after] = await Promise.all([
      killHolder(t, first, 'question'),
      killHolder(t, second, 'answer'),
    ])
    see(
      `kill -9 of the holder before the provider has rotated: the other finishes within ${seconds(before.ms)}, ` +
        `${before.answers.length} × ${statusesOf(before.answers)}`,
    )
    see(
      `after it has rotated, when nobody has the new token: ${after.answers.length} × ${statusesOf(after.answers)} within ` +
        `${seconds(after.ms)}, and a login mends it`,
    )
  },
  journey,
)

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`
