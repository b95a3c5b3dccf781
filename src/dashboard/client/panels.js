import { dateAndTime, duration, el, plural, setChildren, setText, timeOfDay } from './dom.js'

/**
 * What stands beside the journey. Each panel is folded to one line on a narrow screen, and that line says enough to
 * know whether to look.
 */
export function createPanels(root) {
  const changes = el('ol', {
    class: 'happenings',
    role: 'log',
    'aria-live': 'polite',
    'aria-label': 'Changes',
  })
  const log = panel('Changes', changes)
  const sources = panel('Discovery')
  const problems = panel('Address book')
  const config = panel('gateway.yaml')
  const keys = panel('Signing keys')
  const documents = panel('API documents')
  const workers = panel('Processes')
  const all = [log, sources, problems, config, keys, documents, workers]
  root.append(...all.map(({ node }) => node))

  const wide = matchMedia('(min-width: 1100px)')
  const unfold = () => {
    for (const { node } of all) node.open = wide.matches
  }
  wide.addEventListener('change', unfold)
  unfold()

  return {
    changes,
    update({ sources: list, problems: sentences, config: file, tokens, gateway, services, at }) {
      tellSources(sources, list, at)
      problems.tell(
        sentences.length === 0 ? 'no problem' : plural(sentences.length, 'problem'),
        sentences.length > 0 && 'warn',
        sentences.length === 0
          ? [note('Services and gateway.yaml agree.')]
          : [el('ul', { class: 'plain' }, ...sentences.slice(0, 50).map((one) => el('li', null, one)))],
      )
      tellConfig(config, file, at)
      tellKeys(keys, tokens, at)
      tellDocuments(documents, services)
      tellWorkers(workers, gateway, at)
    },
  }
}

function panel(title, body = el('div', { class: 'body' })) {
  const state = el('span', { class: 'state' })
  const node = el('details', { class: 'panel' }, el('summary', null, el('h2', null, title), state), body)
  let told
  return {
    node,
    /** @param {false | 'good' | 'warn' | 'bad'} tone */
    tell(summary, tone, children) {
      setText(state, summary)
      state.dataset.tone = tone || 'good'
      // Selected text and the place in a long list survive where nothing is new.
      const text = children.map((child) => child.textContent).join('\n')
      if (text === told) return
      told = text
      setChildren(body, children)
    },
  }
}

const note = (text) => el('p', { class: 'note' }, text)

function facts(pairs) {
  return el(
    'dl',
    null,
    ...pairs.filter(Boolean).flatMap(([name, value]) => [el('dt', null, name), el('dd', null, value)]),
  )
}

function tellSources(panel, list, at) {
  const failing = list.filter(({ state }) => state !== 'live')
  panel.tell(
    failing.length === 0 ? `${list.length} live` : `${failing.length} of ${list.length} not live`,
    failing.length > 0 && 'bad',
    list.length === 0
      ? [note('No source is configured.')]
      : list.map(({ source, state, lastHeardAt, lastError, isFixed }) =>
          el(
            'div',
            { class: 'entry' },
            el(
              'p',
              null,
              el('b', null, source),
              ' ',
              el('span', { class: 'mark', 'data-tone': state === 'live' ? 'good' : 'bad' }, state),
            ),
            note(
              lastHeardAt === undefined
                ? 'has not spoken yet'
                : isFixed
                  ? 'says everything at the start'
                  : `last heard ${duration(at - lastHeardAt)} ago`,
            ),
            ...(lastError === undefined ? [] : [el('p', { class: 'fault' }, lastError)]),
          ),
        ),
  )
}

function tellConfig(panel, file, at) {
  if (file === null) {
    panel.tell('not followed', false, [note('There is no gateway.yaml, or it is not followed.')])
    return
  }
  panel.tell(`version ${file.version}, ${file.state}`, file.state === 'rejected' && 'bad', [
    facts([
      ['in force since', `${dateAndTime(file.loadedAt)}, ${duration(at - Date.parse(file.loadedAt))} ago`],
    ]),
    ...(file.lastError === undefined
      ? []
      : [note('What the file says now is not taken over:'), el('p', { class: 'fault' }, file.lastError)]),
  ])
}

function tellKeys(panel, tokens, at) {
  if (tokens === null) {
    panel.tell('none', false, [note('The gateway has no database, and so no tokens of its own.')])
    return
  }
  const { database, signing, keys, nextRotationAt } = tokens
  const isGood = database === 'live' && signing === 'ready'
  panel.tell(
    isGood ? plural(keys.length, 'key') : database === 'live' ? signing : `database ${database}`,
    !isGood && 'bad',
    [
      facts([
        ['database', database],
        ['signing', signing],
        nextRotationAt !== null && [
          'next rotation',
          nextRotationAt <= at
            ? 'due'
            : `${dateAndTime(nextRotationAt)}, in ${duration(nextRotationAt - at)}`,
        ],
      ]),
      ...keys.map(({ kid, algorithm, state, usable, createdAt, activatedAt, retiredAt }) =>
        el(
          'div',
          { class: 'entry' },
          el(
            'p',
            null,
            el(
              'span',
              { class: 'mark', 'data-tone': !usable ? 'bad' : state === 'active' ? 'good' : 'plain' },
              { active: 'signs', next: 'signs next', retired: 'retired' }[state],
            ),
            ` ${algorithm}`,
            ...(usable ? [] : [el('span', { class: 'fault' }, ' cannot be opened')]),
          ),
          el('p', { class: 'kid' }, kid),
          note(
            state === 'retired'
              ? `signed until ${dateAndTime(retiredAt)}`
              : state === 'active'
                ? `signs for ${duration(at - activatedAt)}, made ${duration(at - createdAt)} ago`
                : `made ${duration(at - createdAt)} ago`,
          ),
        ),
      ),
    ],
  )
}

function tellDocuments(panel, services) {
  const known = [...services].filter(([, { document }]) => document !== undefined)
  const good = known.filter(([, { document }]) => document.status === 'ok' || document.status === 'none')
  const rest = known.filter((one) => !good.includes(one))
  const counted = Map.groupBy(known, ([, { document }]) => document.status)
  panel.tell(
    rest.length === 0 ? plural(known.length, 'service') : `${rest.length} of ${known.length} not ok`,
    rest.length > 0 && 'warn',
    [
      note(
        [...counted].map(([status, own]) => `${own.length} ${status}`).join(', ') || 'No service is known.',
      ),
      ...rest.slice(0, 30).map(
        ([
          name,
          {
            document: { status, reason, fetchedAt },
          },
        ]) =>
          el(
            'div',
            { class: 'entry' },
            el(
              'p',
              null,
              el('b', null, name),
              ' ',
              el('span', { class: 'mark', 'data-tone': 'warn' }, status),
            ),
            ...(reason === undefined ? [] : [note(reason)]),
            ...(fetchedAt === undefined ? [] : [note(`that of ${timeOfDay(fetchedAt)}`)]),
          ),
      ),
      ...(rest.length > 30 ? [note(`and ${rest.length - 30} more`)] : []),
    ],
  )
}

function tellWorkers(panel, { workers, version }, at) {
  panel.tell(`${plural(workers.length, workers.length === 1 ? 'process' : 'worker')}, ${version}`, false, [
    ...workers.map(({ startedAt, delayMs, shed }, index) =>
      facts([
        [workers.length === 1 ? 'up' : `${index + 1}, up`, duration(at - startedAt)],
        ['event loop', `${delayMs} ms late`],
        ['turned away', String(shed)],
      ]),
    ),
  ])
}
