import { setAttribute, setText, svg } from './dom.js'

/** As many points as the gateway keeps: five minutes of two seconds each. */
const slots = 150
export const slotSeconds = 2
const height = 40

/**
 * A small chart of the last five minutes: an area or lines, drawn as paths that stretch with their frame.
 *
 * @param {readonly { name: string, kind: 'area' | 'bars' | 'line' }[]} series drawn in this order
 */
export function createChart(series) {
  const paths = series.map(({ name, kind }) => svg('path', { class: `${kind} ${name}` }))
  const node = svg(
    'svg',
    { viewBox: `0 0 ${slots} ${height}`, preserveAspectRatio: 'none', class: 'chart', 'aria-hidden': 'true' },
    ...paths,
  )
  return {
    node,
    /**
     * @param {readonly (readonly (readonly [slot: number, value: number | null])[])[]} values of each series
     * @param {number} newest the slot at the right edge
     * @returns {number} the greatest value
     */
    draw(values, newest) {
      const most = values.flat().reduce((top, [, value]) => Math.max(top, value ?? 0), 0)
      const scale = most === 0 ? 0 : (height - 3) / most
      for (const [index, { kind }] of series.entries()) {
        setAttribute(
          paths[index],
          'd',
          pathOf[kind](values[index], newest, (value) => height - 1 - value * scale),
        )
      }
      return most
    },
  }
}

const xOf = (slot, newest) => slots - 1 - (newest - slot)

const pathOf = {
  /** What is not there is nothing. */
  area(points, newest, y) {
    let path = ''
    let last
    for (const [slot, value] of points) {
      const x = xOf(slot, newest)
      if (x < 0) continue
      if (last === undefined || x > last + 1) {
        if (last !== undefined) path += `L${last + 0.5} ${height}`
        path += `M${x - 0.5} ${height}`
      }
      path += `L${x} ${y(value).toFixed(1)}`
      last = x
    }
    return last === undefined ? `M0 ${height}` : `${path}L${last} ${height}`
  },
  bars(points, newest, y) {
    let path = ''
    for (const [slot, value] of points) {
      const x = xOf(slot, newest)
      if (x >= 0 && value > 0) path += `M${x} ${height}V${y(value).toFixed(1)}`
    }
    return path || `M0 ${height}`
  },
  /** What is not there is not known: the line is broken. */
  line(points, newest, y) {
    let path = ''
    let last
    for (const [slot, value] of points) {
      const x = xOf(slot, newest)
      if (x < 0 || value === null) continue
      path += last !== undefined && x <= last + 3 ? `L${x} ` : `M${x - 0.4} ${y(value).toFixed(1)}L${x} `
      path += y(value).toFixed(1)
      last = x
    }
    return path || `M0 ${height}`
  },
}

/** Keeps the points of one service, of which newer ones take the place of older. */
export function createPoints() {
  let points = []
  return {
    all: () => points,
    add(more, newest) {
      const first = more[0]?.[0] ?? Infinity
      const kept = points.filter(([slot]) => slot < first && slot > newest - slots)
      points = kept.concat(more)
    },
    clear() {
      points = []
    },
  }
}

/** Requests a second, with those that failed. */
export function createRateChart() {
  const chart = createChart([
    { name: 'requests', kind: 'area' },
    { name: 'errors', kind: 'bars' },
  ])
  return {
    node: chart.node,
    /** @param {HTMLElement} [caption] is told the greatest value */
    draw(points, newest, caption, format) {
      const most = chart.draw(
        [
          points.map(([slot, requests]) => [slot, requests / slotSeconds]),
          points.map(([slot, , errors]) => [slot, errors / slotSeconds]),
        ],
        newest,
      )
      if (caption) setText(caption, most === 0 ? 'no requests' : `requests, peak ${format(most)}/s`)
    },
  }
}

/** The mean time, and what 95 of 100 stay below. */
export function createLatencyChart() {
  const chart = createChart([
    { name: 'p95', kind: 'line' },
    { name: 'mean', kind: 'line' },
  ])
  return {
    node: chart.node,
    draw(points, newest, caption, format) {
      const most = chart.draw(
        [points.map(([slot, , , , p95]) => [slot, p95]), points.map(([slot, , , mean]) => [slot, mean])],
        newest,
      )
      if (caption) setText(caption, most === 0 ? 'no time taken' : `time, peak ${format(most)}`)
    },
  }
}
