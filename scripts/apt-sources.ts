/** One Debian archive that the machine's apt configuration names. */
export interface AptArchive {
  readonly uri: string
  /** Keyring path, fingerprint or embedded key, as apt spells it; undefined for apt's own trusted keys. */
  readonly signedBy: string | undefined
}

const debianSuites = /^(?:(?:old)*stable|testing|unstable|sid|buster|bullseye|bookworm|trixie|forky|duke)$/

/**
 * The Debian archives in apt's configuration: `*.list` files hold one-line entries, `*.sources` files hold
 * deb822 stanzas (sources.list(5)). Other distributions' and vendors' archives are left out, and so are the
 * security and updates suites, which carry a part of Debian only.
 */
export function debianArchives(files: readonly { name: string; text: string }[]): AptArchive[] {
  const entries = files.flatMap(({ name, text }) =>
    name.endsWith('.sources') ? parseDeb822(text) : parseOneLine(text),
  )
  const archives = entries
    .filter((entry) => entry.components.includes('main') && entry.suites.some((s) => debianSuites.test(s)))
    .flatMap(({ uris, signedBy }) => uris.map((uri) => ({ uri: uri.replace(/\/+$/, ''), signedBy })))
    .filter(({ uri }) => /^(?:mirror\+)?https?:/.test(uri))
  return [...new Map(archives.map((archive) => [archive.uri, archive])).values()]
}

interface Entry {
  readonly uris: readonly string[]
  readonly suites: readonly string[]
  readonly components: readonly string[]
  readonly signedBy: string | undefined
}

function parseOneLine(text: string): Entry[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)/.exec(line)
    if (match === null) return []
    const [, options = '', uri = '', suite = '', components = ''] = match
    const signedBy = /(?:^|\s)signed-by=(\S+)/i.exec(options)?.[1]
    return [{ uris: [uri], suites: [suite], components: words(components), signedBy }]
  })
}

function parseDeb822(text: string): Entry[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = new Map<string, string>()
    let last = ''
    for (const line of stanza.split('\n')) {
      if (line.startsWith('#')) continue
      const field = /^([A-Za-z-]+):\s*(.*)$/.exec(line)
      if (field?.[1] !== undefined) {
        last = field[1].toLowerCase()
        fields.set(last, field[2] ?? '')
      } else if (/^\s/.test(line) && last !== '') {
        fields.set(last, `${fields.get(last)}\n${line}`)
      }
    }
    if (!words(fields.get('types')).includes('deb') || fields.get('enabled') === 'no') return []
    return [
      {
        uris: words(fields.get('uris')),
        suites: words(fields.get('suites')),
        components: words(fields.get('components')),
        signedBy: fields.get('signed-by'),
      },
    ]
  })
}

function words(text = ''): string[] {
  return text.split(/\s+/).filter(Boolean)
}
