import { createLatencyChart, createPoints, createRateChart } from './chart.js'
import {
  el,
  milliseconds,
  percent,
  percentile,
  perSecond,
  plural,
  setAttribute,
  setChildren,
  setText,
  timeOfDay,
} from './dom.js'

/** How long an instance that has left is still shown, as such. */
const remembranceMs = 20_000

/** A service may name thousands; all of them are searched. */
const mostRoutes = 100

/** A sign of its own for each state, so that colour is never the only one. */
const states = {
  usable: { sign: '●', label: 'in use' },
  warming: { sign: '◐', label: 'slow start' },
  held: { sign: '◆', label: 'held' },
  ejected: { sign: '✕', label: 'ejected' },
  strained: { sign: '▲', label: 'ejected, used all the same' },
  idle: { sign: '○', label: 'not used' },
  left: { sign: '–', label: 'left' },
}

const isTrouble = ({ state }) => state !== 'usable' && state !== 'warming'

/** One service with the routes that lead to it and its instances. Drawn only while it is on the screen. */
export function createLane(name) {
  const routes = el('ul', { class: 'routes', 'aria-label': `Routes to ${name}` })
  const mark = el('span', { class: 'mark' })
  const figures = el('p', { class: 'figures' })
  const charts = el('div', { class: 'charts' })
  const meta = el('p', { class: 'note' })
  const instances = el('ul', { class: 'instances', 'aria-label': `Instances of ${name}` })
  const card = el('div', { class: 'service' }, el('h3', null, name, ' ', mark), figures, charts, meta)
  const node = el('article', { class: 'lane', 'data-service': name }, routes, card, instances)
  const points = createPoints()
  const rows = new Map()
  const left = new Map()
  let drawn
  let view

  function drawCharts(newest) {
    drawn ??= createCharts(charts)
    drawn.rate.draw(points.all(), newest, drawn.rateCaption, perSecond)
    drawn.latency.draw(points.all(), newest, drawn.latencyCaption, milliseconds)
  }

  function drawRoutes() {
    const shown = view.routes.slice(0, mostRoutes)
    const more = view.routes.length - shown.length
    const text = JSON.stringify([shown, more])
    if (routes.dataset.told === text) return
    routes.dataset.told = text
    const rest = more === 0 ? [] : [el('li', { class: 'route note' }, `and ${more} more`)]
    setChildren(routes, [...shown.map(routeItem), ...rest])
  }

  function drawInstances(at) {
    const shown = [...view.instances, ...left.values()]
    const wanted = shown.map((instance) => {
      const row = rows.get(instance.address) ?? createRow(instance.address)
      rows.set(instance.address, row)
      row.update(instance, at)
      return row.node
    })
    for (const address of rows.keys()) if (!shown.some((one) => one.address === address)) rows.delete(address)
    if (shown.length === 0) wanted.push(el('li', { class: 'instance none' }, 'no instance'))
    setChildren(instances, wanted)
  }

  function forget(at) {
    for (const [address, one] of left) if (at - one.leftAt > remembranceMs) left.delete(address)
  }

  return {
    name,
    node,
    points,
    isVisible: false,
    isTrouble: () => view.instances.length === 0 || view.instances.some(isTrouble) || view.errorShare > 0.01,
    /** What a search looks at. */
    text: () =>
      [name, ...view.routes.map(({ prefix }) => prefix), ...view.instances.map(({ address }) => address)]
        .join('\n')
        .toLowerCase(),
    counts: () => ({
      instances: view.instances.length,
      used: view.instances.filter(({ state }) => state !== 'ejected' && state !== 'idle').length,
    }),
    document: () => view.document,
    view: () => view,
    take(next, at) {
      const present = new Set(next.instances.map(({ address }) => address))
      for (const one of view?.instances ?? []) {
        if (!present.has(one.address))
          left.set(one.address, { ...one, state: 'left', leftAt: at, inFlight: 0 })
      }
      for (const address of present) left.delete(address)
      // Here and not where it is drawn: a lane that is not on the screen would remember all for ever.
      forget(at)
      view = next
    },
    draw(at, newest) {
      forget(at)
      setAttribute(node, 'data-drawn', '')
      const out = view.instances.filter(isTrouble)
      const worst = ['ejected', 'strained', 'held', 'idle'].find((state) =>
        out.some((one) => one.state === state),
      )
      const isEmpty = view.instances.length === 0
      const those = out.filter(({ state }) => state === worst).length
      const said =
        worst && `${states[worst].sign} ${those} of ${view.instances.length} ${states[worst].label}`
      setText(mark, isEmpty ? '✕ no instance' : (said ?? ''))
      setAttribute(
        mark,
        'data-tone',
        isEmpty || worst === 'ejected' || worst === 'strained' ? 'bad' : worst && 'warn',
      )
      setText(
        figures,
        view.perSecond === 0
          ? 'no requests now'
          : `${perSecond(view.perSecond)}/s · ${percent(view.errorShare)} errors · mean\u00a0${milliseconds(view.meanMs)} · p95\u00a0${percentile(view.p95Ms)}`,
      )
      setAttribute(figures, 'data-tone', view.errorShare > 0.01 ? 'bad' : undefined)
      setText(meta, metaOf(view))
      drawRoutes()
      drawInstances(at)
      drawCharts(newest)
    },
  }
}

function createCharts(root) {
  const [rate, latency] = [createRateChart(), createLatencyChart()]
  const [rateCaption, latencyCaption] = [el('figcaption'), el('figcaption')]
  root.append(el('figure', null, rate.node, rateCaption), el('figure', null, latency.node, latencyCaption))
  return { rate, latency, rateCaption, latencyCaption }
}

function routeItem({ prefix, auth, share }) {
  const who = { none: 'open to all', optional: 'token optional', required: 'token required' }[auth]
  const how = share === undefined ? who : `${share.kind} of ${share.service}, ${share.percent} %`
  return el('li', { class: 'route' }, el('code', null, prefix), el('span', { class: 'note' }, how))
}

function createRow(address) {
  const sign = el('span', { class: 'sign', 'aria-hidden': 'true' })
  const label = el('span', { class: 'label' })
  const load = el('span', { class: 'load' })
  const why = el('p', { class: 'note' })
  const node = el(
    'li',
    { class: 'instance', 'data-instance': address },
    el('p', null, sign, ' ', el('span', { class: 'address' }, address), ' ', label),
    load,
    why,
  )
  return {
    node,
    update(instance, at) {
      const { state, inFlight, weight, reason, ejectedUntil, leftAt } = instance
      setAttribute(node, 'data-state', state)
      setText(sign, states[state].sign)
      setText(label, state === 'usable' ? '' : states[state].label)
      setText(
        load,
        state === 'left' ? '' : `${inFlight} in flight${weight === 1 ? '' : `, weight ${weight}`}`,
      )
      if (state === 'left') setText(why, `left the address book at ${timeOfDay(leftAt)}`)
      else if (ejectedUntil !== undefined) {
        const seconds = Math.max(0, Math.round((ejectedUntil - at) / 1000))
        setText(
          why,
          `until ${timeOfDay(ejectedUntil)}, ${seconds} s; ${plural(instance.ejections, 'ejection')}, ${plural(instance.consecutiveFailures, 'failure')} in a row`,
        )
      } else if (state === 'held') setText(why, 'the last known; its source no longer names it')
      else setText(why, reason ?? '')
    },
  }
}

function metaOf({ source, provenance, document }) {
  const from =
    source === undefined
      ? undefined
      : `from ${source}${provenance === 'vanished' ? ', which no longer names it' : ''}`
  const api =
    document === undefined || document.status === 'none'
      ? 'no API document'
      : `API document ${document.status}`
  return [from, api].filter(Boolean).join(' · ')
}
