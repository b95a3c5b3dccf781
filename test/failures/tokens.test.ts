import { sharedPostgres } from '../support/database.ts'
import { atMost } from '../support/figures.ts'
import { journey } from '../support/journeys.ts'
import { rotateUnderLoad } from '../support/key-rotations.ts'
import { clockSkew, type Replica, startReadyReplica } from '../support/replica.ts'
import { createExpiring, revokeEverywhere } from '../support/skewed-clocks.ts'
import { tokenNeighbourhood } from '../support/token-neighbourhood.ts'
import { until } from '../support/until.ts'
import { row, scaled } from './row.ts'

const freshDatabase = sharedPostgres()

row(
  'clock-skew',
  async (t, see) => {
    const { url, options } = await tokenNeighbourhood(t, (await freshDatabase(t)).url)
    const [ahead55, behind55, ahead65, behind65] = (await Promise.all(
      [55, -55, 65, -65].map((seconds) =>
        startReadyReplica(t, { ...options(), nodeOptions: clockSkew(seconds * 1000) }),
      ),
    )) as [Replica, Replica, Replica, Replica]
    const lags: number[] = []
    for (let round = 0; round < scaled(1, 20); round++) {
      lags.push(...(await revokeEverywhere(t, [ahead55, behind55])))
    }
    const largest = Math.max(...lags)
    t.true(largest <= atMost(1000), `revoked by all after ${largest} ms`)
    see(
      `55 s ahead and 55 s behind: each accepts the other's tokens, revoked at both within ${largest.toFixed(0)} ms`,
    )

    const { access_token } = await ahead65.create()
    t.is((await ahead65.ask('/api/house', access_token)).status, 200)
    t.is((await behind65.ask('/api/house', access_token)).status, 401, 'of 130 s in the future')
    t.is((await behind65.post('/tokens/revoke', { token: access_token })).status, 200)
    const isRefused = async () => (await ahead65.ask('/api/house', access_token)).status === 401
    await until(isRefused, 'revoked all the same')
    see(
      "65 s ahead and 65 s behind: the one's tokens are refused by the other, and can still be revoked there",
    )
    const expiring = await createExpiring(url)
    t.is((await ahead55.ask('/api/house', await expiring(60))).status, 200, 'a minute early at most')
    t.is((await behind55.ask('/api/house', await expiring(-60))).status, 401, 'a minute late at most')
    see('within a minute of right, no token ends more than a minute early or late')
  },
  journey,
)

row(
  'signing-key-rotation',
  async (t, see) => {
    const rotations = scaled(1, 10)
    const { url, options } = await tokenNeighbourhood(t, (await freshDatabase(t)).url)
    const replicas = await Promise.all([startReadyReplica(t, options()), startReadyReplica(t, options())])
    const uses = await rotateUnderLoad(t, {
      ...{ url, replicas, rotations, env: options().env },
      usesEach: scaled(100, 1000),
    })
    see(
      `${rotations} × keys rotate --now with two gateways: 0 of ${uses} uses of tokens were refused, the first key's among them`,
    )
  },
  journey,
)
