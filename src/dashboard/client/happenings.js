import { el, timeOfDay } from './dom.js'

const most = 60

/** What has changed while the page was open, newest first; screen readers are told politely. */
export function createHappenings(root) {
  const empty = el('li', { class: 'note' }, 'Nothing has changed since this page was opened.')
  root.append(empty)
  return {
    /** @param {'good' | 'bad' | 'warn'} tone */
    add(at, text, tone) {
      empty.remove()
      root.prepend(el('li', { 'data-tone': tone }, el('time', null, timeOfDay(at)), ' ', text))
      while (root.children.length > most) root.lastElementChild.remove()
    },
  }
}

const isOut = (state) => state === 'ejected' || state === 'strained'

/** Says what has become of a service's instances, one sentence each. */
export function* changesOf(name, before, now) {
  const known = new Map((before?.instances ?? []).map((one) => [one.address, one]))
  for (const one of now.instances) {
    const last = known.get(one.address)
    known.delete(one.address)
    if (last === undefined) yield [`${name}: ${one.address} has come`, 'good']
    else if (isOut(one.state) && !isOut(last.state)) yield [`${name}: ${one.address} is ejected`, 'bad']
    else if (!isOut(one.state) && isOut(last.state)) yield [`${name}: ${one.address} is back`, 'good']
    else if (one.state === 'held' && last.state !== 'held')
      yield [`${name}: ${one.address} is held, no source names it`, 'warn']
    else if (one.state !== 'held' && last.state === 'held')
      yield [`${name}: ${one.address} is named again`, 'good']
  }
  for (const address of known.keys()) yield [`${name}: ${address} has left`, 'bad']
}

/** The same of the parts around the services. */
export function* changesOfParts(before, now) {
  const sources = new Map((before.sources ?? []).map((one) => [one.source, one.state]))
  for (const { source, state } of now.sources ?? []) {
    const last = sources.get(source)
    if (last === undefined || last === state) continue
    if (state === 'failing') yield [`discovery: ${source} fails`, 'bad']
    else if (state === 'live') yield [`discovery: ${source} answers`, 'good']
  }
  if (now.config && before.config && now.config.version !== before.config.version)
    yield ['gateway.yaml was taken over', 'good']
  if (
    now.config &&
    before.config &&
    now.config.state !== before.config.state &&
    now.config.state === 'rejected'
  )
    yield ['gateway.yaml is at fault and not taken over', 'bad']
  if (now.tokens && before.tokens && now.tokens.database !== before.tokens.database)
    yield [`the database is ${now.tokens.database}`, now.tokens.database === 'live' ? 'good' : 'bad']
  if (now.gateway && before.gateway && now.gateway.state !== before.gateway.state)
    yield [`the gateway is ${now.gateway.state}`, now.gateway.state === 'ready' ? 'good' : 'warn']
}
