import { existsSync, globSync, readFileSync } from 'node:fs'
import test from 'ava'
import { parse } from 'yaml'
import { readWorkflows, steps, workflowFaults } from '../support/github-workflows.ts'

const workflows = readWorkflows()
const allSteps = workflows.flatMap(steps)
const scripts = allSteps.flatMap(({ run }) => run ?? [])
const read = (file: string): string => readFileSync(file, 'utf8')

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}
const manifest = (folder = '.'): Manifest => JSON.parse(read(`${folder}/package.json`)) as Manifest

for (const { file, text } of workflows) {
  test(`GitHub's own parser has nothing against ${file}`, async (t) => {
    t.deepEqual(await workflowFaults(file, text), [])
  })
}

const sound = '{ runs-on: x, steps: [{ run: echo }] }'
const wrong = {
  'an unknown key': ['{ runs-on: x, stepz: [], steps: [{ run: echo }] }', /'stepz'/],
  'an unknown context': ["{ runs-on: x, if: githb.ref == 'x', steps: [{ run: echo }] }", /'githb'/],
  'a job that waits for none that is there': [
    '{ runs-on: x, needs: [nobody], steps: [{ run: echo }] }',
    /'nobody'/,
  ],
} as const
for (const [name, [job, complaint]] of Object.entries(wrong)) {
  test(`GitHub's own parser finds ${name}`, async (t) => {
    const faults = await workflowFaults('wrong.yml', `on: push\njobs:\n  first: ${job}\n  second: ${sound}\n`)
    t.regex(faults.join('\n'), complaint)
  })
}

test('every action is pinned by the full SHA of its commit, the same everywhere, its version beside it', (t) => {
  const pins = new Map<string, Set<string>>()
  for (const { file, text } of workflows) {
    for (const [line, used] of text.matchAll(/^.*\buses: +(\S+).*$/gm)) {
      if (used!.startsWith('./')) {
        t.true(existsSync(used!), `${file}: ${used}`)
        continue
      }
      const [, action, pin] =
        /uses: ([\w-]+\/[\w-]+)(?:\/[\w/-]+)?@([0-9a-f]{40} # v\d+\.\d+\.\d+)$/.exec(line) ?? []
      t.truthy(pin, `${file}: ${line.trim()}`)
      pins.set(action!, (pins.get(action!) ?? new Set()).add(pin!))
    }
  }
  t.true(pins.size > 5)
  for (const [action, found] of pins) t.is(found.size, 1, `${action}: ${[...found].join(', ')}`)
})

test('a workflow may read and nothing else, but for the jobs that say what they write', (t) => {
  const writers: Record<string, string[]> = {}
  for (const { file, permissions, jobs } of workflows) {
    t.deepEqual(permissions, { contents: 'read' }, file)
    for (const [name, job] of Object.entries(jobs)) {
      const written = Object.entries(job.permissions ?? {}).flatMap(([scope, level]) =>
        level === 'write' ? scope : [],
      )
      if (written.length > 0) writers[`${file} ${name}`] = written
    }
  }
  t.deepEqual(writers, {
    'codeql.yml analyze': ['security-events'],
    'release.yml image': ['packages', 'id-token', 'attestations', 'artifact-metadata'],
    'release.yml release': ['contents'],
  })
})

test('every job has a time limit, every workflow says what becomes of a run that another overtakes', (t) => {
  for (const { file, concurrency, jobs } of workflows) {
    t.truthy(concurrency?.group, file)
    for (const [name, job] of Object.entries(jobs)) {
      if (job.uses === undefined) t.true(Number(job['timeout-minutes']) <= 90, `${file} ${name}`)
    }
  }
})

test('nothing that a stranger writes is run: no expression but a matrix in a script, no event of his with rights', (t) => {
  for (const script of scripts) t.notRegex(script, /\$\{\{(?!\s*matrix\.\w+\s*\}\})/)
  for (const { file, on, text } of workflows) {
    t.deepEqual(
      Object.keys(on).filter((event) =>
        ['pull_request_target', 'workflow_run', 'issue_comment'].includes(event),
      ),
      [],
      file,
    )
    t.notRegex(text, /secrets: *inherit/, file)
  }
  const checkouts = allSteps.filter(({ uses }) => uses?.startsWith('actions/checkout@'))
  for (const checkout of checkouts) t.is(checkout.with?.['persist-credentials'], false)
})

test('what a release is made of comes from no cache', (t) => {
  const release = workflows.find(({ file }) => file === 'release.yml')!
  t.notRegex(release.text, /cache-from|cache-to|actions\/cache|cache: npm/)
  const nodes = steps(release).filter(({ uses }) => uses?.startsWith('actions/setup-node@'))
  t.true(nodes.length > 0)
  for (const node of nodes) t.is(node.with?.['package-manager-cache'], false)
})

test('every npm script that a workflow runs is there', (t) => {
  let seen = 0
  for (const [, name, folder] of scripts.join('\n').matchAll(/npm run ([\w:-]+)(?:.*--prefix (\S+))?/g)) {
    t.truthy(manifest(folder).scripts[name!], `npm run ${name} in ${folder ?? '.'}`)
    seen += 1
  }
  t.true(seen > 3)
})

test('every file that a workflow names is there', (t) => {
  const given = allSteps.flatMap(({ with: inputs = {} }) =>
    ['node-version-file', 'cache-dependency-path', 'file'].flatMap((input) =>
      String(inputs[input] ?? '').split('\n'),
    ),
  )
  const written = scripts.flatMap((script) =>
    [...script.matchAll(/(?<=^|[\s"'(])\.?[\w-][\w.-]*(?:\/[\w.*-]+)+\/?/gm)].map(([path]) => path),
  )
  // What kubectl calls a Service of the cluster, and a label.
  const others = ['', 'service/gateway', 'app.kubernetes.io/part-of']
  const paths = [...given, ...written].filter((path) => !others.includes(path))
  t.true(paths.length > 10)
  for (const path of new Set(paths)) t.not(globSync(path).length, 0, path)
  if (scripts.some((script) => script.includes('docker compose'))) t.true(existsSync('docker-compose.yml'))
})

test('the targets that a workflow builds are stages of the Dockerfile', (t) => {
  const targets = new Set([
    ...workflows.flatMap(({ jobs }) =>
      Object.values(jobs).flatMap(({ strategy }) => strategy?.matrix.target ?? []),
    ),
    ...[...scripts.join('\n').matchAll(/--target (\S+)/g)].map(([, target]) => target),
  ])
  t.deepEqual([...targets].sort(), ['auth', 'gateway'])
  for (const target of targets) t.regex(read('Dockerfile'), new RegExp(`^FROM \\S+ AS ${target}$`, 'm'))
})

test('the cluster of CI has the images that the overlay dev asks for', (t) => {
  const { images } = parse(read('k8s/overlays/dev/kustomization.yaml')) as {
    images: readonly { readonly name: string; readonly newTag: string }[]
  }
  const loaded = scripts
    .find((script) => script.startsWith('kind load docker-image'))!
    .split(' ')
    .slice(3)
  t.deepEqual(loaded.sort(), images.map(({ name, newTag }) => `${name}:${newTag}`).sort())
  for (const image of loaded)
    t.true(
      scripts.some((script) => script.includes(`--tag ${image} `)),
      image,
    )
})

test('the gate waits for every other job of CI', (t) => {
  const { jobs } = workflows.find(({ file }) => file === 'ci.yml')!
  const others = Object.keys(jobs).filter((name) => name !== 'passed')
  t.deepEqual(jobs.passed?.needs, others)
  // Without it the gate is skipped where one of them fails, and what is skipped stops no merge.
  t.is(jobs.passed?.if, 'always()')
  const [gate = ''] = /^ +passed:\n[\s\S]*/m.exec(read('.github/workflows/ci.yml')) ?? []
  for (const result of ['failure', 'cancelled', 'skipped'])
    t.true(gate.includes(`contains(needs.*.result, '${result}')`), result)
})

test('the parts of the tests are all of the tests', (t) => {
  const { jobs } = workflows.find(({ file }) => file === 'ci.yml')!
  const { strategy, env } = jobs.test!
  // Another key beside it would make jobs that have an index, but no tests of their own.
  t.deepEqual(Object.keys(strategy!.matrix), ['part'])
  t.regex(String(env?.CI_NODE_INDEX), /^\$\{\{ strategy\.job-index \}\}$/)
  t.regex(String(env?.CI_NODE_TOTAL), /^\$\{\{ strategy\.job-total \}\}$/)
})

test('a release is of what passed CI, its images have SBOM and provenance, and only then is it told of', (t) => {
  const { jobs } = workflows.find(({ file }) => file === 'release.yml')!
  t.is(jobs.ci?.uses, './.github/workflows/ci.yml')
  t.deepEqual([jobs.ci?.needs, jobs.image?.needs, jobs.release?.needs], ['notes', 'ci', 'image'])
  const uses = (action: string) => jobs.image?.steps?.find((step) => step.uses?.startsWith(`${action}@`))
  const { sbom, provenance, push } = uses('docker/build-push-action')?.with ?? {}
  t.deepEqual([sbom, provenance, push], [true, 'mode=max', true])
  t.true(uses('actions/attest')?.with?.['push-to-registry'])
})

test('the tests of CI take from .ci/run which real counterparts must be there', (t) => {
  const lines = read('.ci/run').split('\n')
  const exported = lines.filter((line) => line.startsWith('export REQUIRE_'))
  const set = lines.join('\n').match(/\bREQUIRE_\w+=1\b/g) ?? []
  t.true(set.length >= 4)
  t.deepEqual(exported.join(' ').match(/\bREQUIRE_\w+=1\b/g), set)
  t.true(scripts.some((script) => script.includes(`eval "$(grep '^export REQUIRE_' .ci/run)"\nnpm test`)))
})

test('containers of CI and the images have the Node that the tests here run on', (t) => {
  const { node } = manifest().devDependencies
  const containers = workflows.flatMap(({ jobs }) =>
    Object.values(jobs).flatMap(({ container }) => container ?? []),
  )
  // One job tries the oldest Node that the README promises.
  const current = containers.filter((image) => !image.startsWith('node:20-'))
  t.true(current.length > 0 && current.length < containers.length)
  for (const image of current) t.true(image.startsWith(`node:${node}-`), image)
  t.regex(read('Dockerfile'), new RegExp(`^ARG NODE_IMAGE=node:${node}-`, 'm'))
  t.is(read('.node-version').trim(), node?.split('.')[0] ?? '')
})
