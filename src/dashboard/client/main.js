import { createConnection } from './connection.js'
import { setText, timeOfDay } from './dom.js'
import { changesOfParts, createHappenings } from './happenings.js'
import { createLanes } from './lanes.js'
import { createPanels } from './panels.js'
import { createSummary } from './summary.js'

/** A page that nobody looks at gives its stream back after so long. */
const hiddenMs = 5 * 60_000

const byId = (id) => document.getElementById(id)
const [state, banner, content] = ['connection', 'banner', 'content'].map(byId)
const [signIn, signOut, token] = ['sign-in', 'sign-out', 'token'].map(byId)

const summary = createSummary(byId('summary'))
const panels = createPanels(byId('panels'))
const happenings = createHappenings(panels.changes)
const lanes = createLanes({
  root: byId('lanes'),
  shown: byId('shown'),
  empty: byId('empty'),
  search: byId('search'),
  trouble: byId('trouble'),
})

/** All parts but the services, as they were last told. */
let parts = {}
let lastAt
let hiding

const connection = createConnection(new URL('../../events', import.meta.url), {
  message(event, message) {
    const isWhole = event === 'snapshot'
    if (!isWhole && event !== 'change') return
    const happened = (text, tone) => happenings.add(message.at, text, tone)
    for (const [text, tone] of changesOfParts(parts, message)) happened(text, tone)
    const { services: _, points: __, gone: ___, ...own } = message
    parts = { ...parts, ...own }
    if (isWhole) summary.points.clear()
    summary.points.add(message.points?.[''] ?? [], message.newest)
    lanes.take(message, isWhole, happened)
    summary.update(parts, lanes.counts())
    panels.update({ ...parts, services: lanes.views() })
    lastAt = Date.now()
    show('live')
  },
  closed(reason) {
    show('disconnected', reason)
  },
  refused(detail, hadToken) {
    show('refused')
    setText(byId('sign-in-reason'), hadToken ? `That token does not open it: ${detail}` : detail)
    signIn.hidden = false
    token.focus()
  },
})

/** @param {'connecting' | 'live' | 'disconnected' | 'refused'} now */
function show(now, reason) {
  if (state.dataset.state !== now || now === 'disconnected') {
    state.dataset.state = now
    setText(
      state,
      { live: 'live', connecting: 'connecting', disconnected: 'disconnected', refused: 'signed out' }[now],
    )
  }
  const isLive = now === 'live'
  if (isLive) signIn.hidden = true
  if (isLive) content.hidden = false
  if (now === 'refused') content.hidden = true
  signOut.hidden = !isLive || !connection.hasToken()
  content.classList.toggle('old', now === 'disconnected')
  banner.hidden = now !== 'disconnected'
  if (now !== 'disconnected') return
  const since = lastAt === undefined ? '' : ` since ${timeOfDay(lastAt)}; what is shown is from then`
  setText(banner, `Disconnected${since}: ${reason}. The page tries again by itself.`)
}

signIn.addEventListener('submit', (event) => {
  event.preventDefault()
  const given = token.value.trim()
  token.value = ''
  show('connecting')
  connection.openWith(given)
})

signOut.addEventListener('click', () => {
  connection.close()
  connection.openWith(undefined)
})

document.addEventListener('visibilitychange', () => {
  clearTimeout(hiding)
  if (document.visibilityState === 'hidden') {
    hiding = setTimeout(() => {
      if (connection.isOpen()) connection.close()
    }, hiddenMs)
  } else if (signIn.hidden && !connection.isOpen()) connection.open()
})

connection.open()
