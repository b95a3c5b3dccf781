import { readFileSync } from 'node:fs'
import test from 'ava'

interface Rule {
  readonly description?: string
  readonly matchFileNames?: readonly string[]
  readonly matchPackageNames?: readonly string[]
  readonly matchDatasources?: readonly string[]
  readonly allowedVersions?: string
  readonly groupName?: string
  readonly enabled?: boolean
}
interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

const text = readFileSync('.github/renovate.json', 'utf8')
const config = JSON.parse(text) as {
  readonly extends: readonly string[]
  readonly packageRules: readonly Rule[]
}
const folders = ['', 'bench/', 'examples/nextjs/']

function dependencies(folder = ''): Readonly<Record<string, string>> {
  const manifest = JSON.parse(readFileSync(`${folder}package.json`, 'utf8')) as Manifest
  return { ...manifest.dependencies, ...manifest.devDependencies }
}

const groupOf = (name: string): Rule => config.packageRules.find(({ groupName }) => groupName === name) ?? {}

test('Renovate merges nothing by itself, and no preset of ours would have it do so', (t) => {
  t.deepEqual(text.match(/"(?:automerge|platformAutomerge)": *\w+/g), ['"automerge": false'])
  t.deepEqual(config.extends, [
    'config:recommended',
    'docker:pinDigests',
    'helpers:pinGitHubActionDigestsToSemver',
  ])
})

test('every rule of Renovate says why it is there, and is about something that is there', (t) => {
  const names = folders.flatMap((folder) => Object.keys(dependencies(folder)))
  for (const { description, matchPackageNames = [], matchDatasources } of config.packageRules) {
    t.truthy(description)
    if (matchDatasources !== undefined) continue
    for (const pattern of matchPackageNames) {
      const prefix = pattern.replace(/^!/, '').replace(/\*+$/, '')
      // Images of our own stand in no package.json.
      if (/^(?:ghcr\.io\/jinmini\/)?munjigi/.test(prefix)) continue
      t.true(
        names.some((name) => (pattern.endsWith('*') ? name.startsWith(prefix) : name === prefix)),
        pattern,
      )
    }
  }
})

test('every dependency is one exact version, so that only a change of package.json changes it', (t) => {
  for (const folder of folders) {
    for (const [name, version] of Object.entries(dependencies(folder)))
      t.regex(version, /^\d+\.\d+\.\d+(?:-[\w.]+)?$/, `${folder}package.json: ${name}`)
  }
})

test('the packages of MikroORM have one version, and Renovate moves them together', (t) => {
  const versions = Object.entries(dependencies()).flatMap(([name, version]) =>
    name.startsWith('@mikro-orm/') ? version : [],
  )
  t.true(versions.length >= 4)
  t.is(new Set(versions).size, 1)
  t.deepEqual(groupOf('MikroORM').matchPackageNames, ['@mikro-orm/**'])
})

test('what Renovate may not go beyond is what is installed', (t) => {
  const held = config.packageRules.filter(({ allowedVersions }) => allowedVersions !== undefined)
  t.true(held.length >= 3)
  for (const { matchFileNames = [''], matchPackageNames = [], allowedVersions = '' } of held) {
    const installed = dependencies(matchFileNames[0]!.replace('**', ''))
    for (const name of matchPackageNames) {
      const [, below] = /^<(\d+)$/.exec(allowedVersions) ?? []
      if (below === undefined) t.is(installed[name], allowedVersions, name)
      else t.is(Number.parseInt(installed[name]!, 10), Number(below) - 1, name)
    }
  }
})

test('the gateway and the benchmarks have the same undici, koa and koa-proxies', (t) => {
  const [ours, peers] = [dependencies(), dependencies('bench/')]
  const shared = groupOf('peers of the benchmarks').matchPackageNames?.map((name) => name.slice(1)) ?? []
  t.deepEqual(shared, ['undici', 'koa', 'koa-proxies'])
  for (const name of shared) t.is(peers[name], ours[name], name)
})

test('no lock file says which registry packages came from', (t) => {
  for (const folder of folders) {
    t.notRegex(readFileSync(`${folder}package-lock.json`, 'utf8'), /"resolved": *"http/, folder)
    t.regex(readFileSync(`${folder}.npmrc`, 'utf8'), /^omit-lockfile-registry-resolved=true$/m)
  }
})
