import { plural, setChildren, setText } from './dom.js'
import { changesOf } from './happenings.js'
import { createLane } from './lane.js'

/**
 * The journey: a lane for each service, in the order of their names. Hundreds of them are kept, those on the screen
 * are drawn.
 */
export function createLanes({ root, shown, empty, search, trouble }) {
  const lanes = new Map()
  let at = 0
  let newest = 0

  const watcher = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const lane = lanes.get(target.dataset.service)
        if (lane === undefined) continue
        lane.isVisible = isIntersecting
        if (isIntersecting) lane.draw(at, newest)
      }
    },
    { rootMargin: '200px' },
  )

  function add(name) {
    const lane = createLane(name)
    lanes.set(name, lane)
    return lane
  }

  function remove(name) {
    const lane = lanes.get(name)
    if (lane === undefined) return
    watcher.unobserve(lane.node)
    lanes.delete(name)
  }

  function arrange() {
    const sorted = [...lanes.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
    setChildren(
      root,
      sorted.map(({ node }) => node),
    )
  }

  function filter() {
    const wanted = search.value.trim().toLowerCase()
    let count = 0
    for (const lane of lanes.values()) {
      const isShown =
        (wanted === '' || lane.text().includes(wanted)) && (!trouble.checked || lane.isTrouble())
      lane.node.hidden = !isShown
      if (isShown) count += 1
    }
    setText(
      shown,
      count === lanes.size ? plural(count, 'service') : `${count} of ${plural(lanes.size, 'service')}`,
    )
    empty.hidden = count > 0
    setText(
      empty,
      lanes.size === 0
        ? 'The address book is empty: no service is known.'
        : trouble.checked && wanted === ''
          ? 'No service is in trouble.'
          : 'No service, route or address is like that.',
    )
  }

  for (const input of [search, trouble]) input.addEventListener('input', filter)

  return {
    views: () => new Map([...lanes].map(([name, lane]) => [name, lane.view()])),
    counts() {
      const sums = { services: lanes.size, instances: 0, used: 0 }
      for (const lane of lanes.values()) {
        const { instances, used } = lane.counts()
        sums.instances += instances
        sums.used += used
      }
      return sums
    },
    /**
     * @param message the `services`, `gone` and `points` of a message
     * @param isWhole whether services that it does not have are gone
     * @param happened is told of changes: text, tone
     */
    take({ services = {}, gone = [], points = {}, ...message }, isWhole, happened) {
      at = message.at
      newest = message.newest
      const before = lanes.size
      const missing = isWhole ? [...lanes.keys()].filter((name) => !Object.hasOwn(services, name)) : gone
      for (const name of missing) {
        remove(name)
        happened(`${name} is no longer in the address book`, 'bad')
      }
      for (const [name, view] of Object.entries(services)) {
        const lane = lanes.get(name) ?? add(name)
        const last = lane.view()
        if (last !== undefined) for (const [text, tone] of changesOf(name, last, view)) happened(text, tone)
        else if (before > 0) happened(`${name} has come into the address book`, 'good')
        lane.take(view, at)
      }
      for (const [name, own] of Object.entries(points)) {
        const lane = lanes.get(name)
        if (isWhole) lane?.points.clear()
        lane?.points.add(own, newest)
      }
      if (lanes.size !== before || missing.length > 0 || isWhole) arrange()
      for (const lane of lanes.values()) watcher.observe(lane.node)
      filter()
      for (const lane of lanes.values()) if (lane.isVisible && !lane.node.hidden) lane.draw(at, newest)
    },
  }
}
