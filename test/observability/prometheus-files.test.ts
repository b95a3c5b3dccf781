import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { parse } from 'yaml'
import { postgresTest, sharedPostgres } from '../support/database.ts'
import { scrapeEventfulGateway } from '../support/eventful-gateway.ts'
import { groupingOf, metricsOf, type Query, readQueries, selectorsOf } from '../support/promql.ts'
import { promtoolTest } from '../support/promtool.ts'

const folder = 'observability/prometheus'
const freshDatabase = sharedPostgres()

/** What Prometheus itself adds to every series. */
const targetLabels = ['job', 'instance']

promtoolTest('Prometheus understands the rules', async (t, promtool) => {
  t.regex(await promtool('check', 'rules', `${folder}/alerts.yml`), /SUCCESS/)
})

promtoolTest('every alert fires for what it is there for, and not before', async (t, promtool) => {
  t.regex(await promtool('test', 'rules', `${folder}/alerts.test.yml`), /SUCCESS/)
})

promtoolTest('Prometheus understands every query of the Grafana dashboard', async (t, promtool) => {
  const { dashboard } = await readQueries()
  const place = await mkdtemp(join(tmpdir(), 'munjigi-promtool-'))
  t.teardown(() => rm(place, { recursive: true }))
  const rules = dashboard.map(({ expr }, index) => ({ record: `query:number:${index}`, expr }))
  await writeFile(join(place, 'queries.yml'), JSON.stringify({ groups: [{ name: 'dashboard', rules }] }))
  t.regex(await promtool('check', 'rules', '--lint=none', join(place, 'queries.yml')), /SUCCESS/)
})

test('every alert has an example, a severity, a summary and a runbook', async (t) => {
  const { alerts } = await readQueries()
  const examples = parse(await readFile(`${folder}/alerts.test.yml`, 'utf8')) as {
    tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[]
  }
  const exemplified = examples.tests
    .flatMap((one) => one.alert_rule_test)
    .filter((one) => one.exp_alerts.length > 0)
    .map((one) => one.alertname)
  const runbooks = await readFile('docs/runbooks.md', 'utf8')
  t.true(alerts.length >= 15)
  for (const { name, severity, summary, runbook } of alerts) {
    t.true(exemplified.includes(name), `${name} has an example in which it fires`)
    t.true(['critical', 'warning'].includes(severity), name)
    t.true(summary.length > 0, name)
    t.is(runbook, `docs/runbooks.md#${name.toLowerCase()}`)
    t.true(runbooks.includes(`\n## ${name}\n`), `${name} has a runbook`)
  }
})

postgresTest('every metric and label that a rule or panel names is in a scrape', async (t) => {
  const { types, labels } = await scrapeEventfulGateway(t, (await freshDatabase(t)).url)
  const { recorded, rules, dashboard } = await readQueries()
  const known = new Map<string, readonly string[]>([['up', []]])
  for (const name of types.keys()) known.set(name, labels.get(name) ?? [])
  for (const [name, found] of labels) known.set(name, found)
  for (const rule of recorded) known.set(rule.name, groupingOf(rule))
  t.true(dashboard.length >= 40)
  for (const query of [...rules, ...dashboard]) {
    const metrics = metricsOf(query)
    t.true(metrics.length > 0, query.expr)
    for (const metric of metrics) t.true(known.has(metric), `${query.where}: there is no ${metric}`)
    for (const { metric, label } of selectorsOf(query)) {
      t.true(has(metric, label), `${query.where}: ${metric} has no ${label}`)
    }
    for (const label of [...groupingOf(query), ...shownBy(query)]) {
      t.true(
        metrics.some((metric) => has(metric, label)),
        `${query.where}: nothing has ${label}`,
      )
    }
  }

  function has(metric: string, label: string): boolean {
    return targetLabels.includes(label) || (known.get(metric) ?? []).includes(label)
  }
})

test('what the legend of a panel shows is what its query groups by', async (t) => {
  for (const query of (await readQueries()).dashboard) {
    for (const label of shownBy(query)) t.true(groupingOf(query).includes(label), `${query.where}: ${label}`)
  }
})

const shownBy = ({ legend = '' }: Query) => [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!)
