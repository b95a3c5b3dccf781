import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'

/** A PromQL expression, and where it stands. */
export interface Query {
  readonly where: string
  readonly expr: string
  /** Of a panel. */
  readonly legend?: string
}

interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly labels?: { readonly severity?: string }
  readonly annotations?: { readonly summary?: string; readonly runbook?: string }
}

interface Panel {
  readonly title: string
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}

/** What observability/ asks Prometheus; Grafana's variables are replaced by values of theirs. */
export async function readQueries() {
  const file = parse(await readFile('observability/prometheus/alerts.yml', 'utf8')) as {
    groups: { rules: Rule[] }[]
  }
  const grafana = JSON.parse(await readFile('observability/grafana/munjigi.json', 'utf8')) as {
    panels: Panel[]
  }
  const all = file.groups.flatMap(({ rules }) => rules)
  const named = all.map((rule) => ({ ...rule, where: rule.alert ?? rule.record ?? '' }))
  return {
    rules: named satisfies Query[],
    recorded: named.flatMap((rule) => (rule.record === undefined ? [] : [{ ...rule, name: rule.record }])),
    alerts: named.flatMap(({ alert, labels, annotations }) =>
      alert === undefined
        ? []
        : [
            {
              name: alert,
              severity: labels?.severity ?? '',
              summary: annotations?.summary ?? '',
              runbook: annotations?.runbook ?? '',
            },
          ],
    ),
    dashboard: grafana.panels.flatMap(({ title, targets = [] }) =>
      targets.map(
        ({ expr, legendFormat }): Query => ({ where: title, expr: filledIn(expr), legend: legendFormat }),
      ),
    ),
  }
}

const filledIn = (expr: string) =>
  expr.replaceAll('$__rate_interval', '5m').replaceAll('$job', '.*').replaceAll('$service', '.+')

const words = new Set(['and', 'or', 'unless', 'by', 'without', 'on', 'ignoring', 'bool', 'offset'])

/** The metrics that an expression names. */
export function metricsOf({ expr }: Query): string[] {
  const bare = expr
    .replace(/"(?:[^"\\]|\\.)*"/g, '')
    .replace(/\{[^}]*\}|\[[^\]]*\]/g, ' ')
    .replace(/\b(?:by|without|on|ignoring)\s*\([^)]*\)/g, ' ')
  return [...bare.matchAll(/[A-Za-z_:][\w:]*(?!\s*\(|[\w:])/g)]
    .map(([name]) => name)
    .filter((name) => !words.has(name))
}

/** The labels that are asked of a metric. */
export function selectorsOf({ expr }: Query): { metric: string; label: string }[] {
  return [...expr.matchAll(/([A-Za-z_:][\w:]*)\{([^}]*)\}/g)].flatMap(([, metric, matchers]) =>
    [...matchers!.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label]) => ({
      metric: metric!,
      label: label!,
    })),
  )
}

/** The labels that are left of what an expression adds up. */
export function groupingOf({ expr }: Query): string[] {
  const lists = [...expr.matchAll(/\bby\s*\(([^)]*)\)/g)].map(([, list]) => list!)
  return [...new Set(lists.flatMap((list) => list.match(/\w+/g) ?? []))]
}
