import { createLatencyChart, createPoints, createRateChart } from './chart.js'
import {
  duration,
  el,
  milliseconds,
  percent,
  percentile,
  perSecond,
  plural,
  setAttribute,
  setText,
} from './dom.js'

/** The tiles at the top: the gateway as a whole. */
export function createSummary(root) {
  const points = createPoints()
  const rateChart = createRateChart()
  const latencyChart = createLatencyChart()
  const requests = tile('Requests', rateChart.node)
  const errors = tile('Errors')
  const latency = tile('Time taken', latencyChart.node)
  const active = tile('In flight')
  const houses = tile('Instances')
  const self = tile('Gateway')
  root.append(...[requests, latency, errors, active, houses, self].map(({ node }) => node))

  return {
    points,
    /** @param counted of all services: how many there are, how many instances, and how many of them take part */
    update({ gateway, at, newest }, counted) {
      requests.tell(`${perSecond(gateway.perSecond)}/s`)
      errors.tell(percent(gateway.errorShare), 'replies of 500 and more', gateway.errorShare > 0.01 && 'bad')
      latency.tell(milliseconds(gateway.meanMs), `mean; p95 ${percentile(gateway.p95Ms)}`)
      active.tell(String(gateway.active), plural(gateway.routes, 'route'))
      houses.tell(
        `${counted.used} of ${counted.instances}`,
        `in use, of ${plural(counted.services, 'service')}`,
        counted.used < counted.instances && 'warn',
      )
      const { workers, state } = gateway
      const startedAt = Math.min(...workers.map((one) => one.startedAt))
      const delayMs = Math.max(...workers.map((one) => one.delayMs))
      const shed = workers.reduce((sum, one) => sum + one.shed, 0)
      self.tell(
        `${state}, ${duration(at - startedAt)}`,
        [
          workers.length > 1 && plural(workers.length, 'worker'),
          `event loop ${delayMs} ms late`,
          shed > 0 && `${shed} turned away`,
        ]
          .filter(Boolean)
          .join(', '),
        state !== 'ready' || shed > 0 ? 'warn' : false,
      )
      rateChart.draw(points.all(), newest, requests.note, perSecond)
      latencyChart.draw(points.all(), newest)
    },
  }
}

function tile(title, chart) {
  const value = el('p', { class: 'value' })
  const note = el('p', { class: 'note' })
  const node = el('div', { class: 'tile' }, el('h3', null, title), value, ...(chart ? [chart] : []), note)
  return {
    node,
    note,
    tell(text, more, tone) {
      setText(value, text)
      if (more !== undefined) setText(note, more)
      setAttribute(node, 'data-tone', tone || undefined)
    },
  }
}
