import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { createKubernetesSettings } from '../../../src/discovery/kubernetes/settings.ts'
import { faultLines } from '../../support/config.ts'

function folderWith(t: ExecutionContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'munjigi-kube-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

const read = (environment: Record<string, string>, folder?: string) =>
  createKubernetesSettings(folder).parse({ environment, urls: new Map() })

const kubeconfig = `
current-context: home
contexts:
  - name: home
    context: { cluster: c, user: u }
  - name: shop
    context: { cluster: c, user: u, namespace: shop }
users:
  - name: u
    user: { token: hunter2 }
`

test('without KUBECONFIG the pod’s service account is used, and its namespace', (t) => {
  const folder = folderWith(t, { token: 'x', namespace: 'shop\n' })
  t.deepEqual(read({ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' }, folder), {
    access: { kind: 'service-account', server: 'https://[fd00::1]:6443', folder },
    home: 'shop',
    namespaces: ['shop'],
    annotationPrefix: 'gateway.jinmini.com/',
    zone: undefined,
  })
})

test('KUBECONFIG wins over a service account; its current context says which namespace', (t) => {
  const folder = folderWith(t, { token: 'x', namespace: 'pod', config: kubeconfig })
  const file = join(folder, 'config')
  const options = read({ KUBECONFIG: file, KUBERNETES_SERVICE_HOST: '10.0.0.1' }, folder)
  t.deepEqual(options.access, { kind: 'kubeconfig', files: [file], context: 'home' })
  t.deepEqual(options.namespaces, ['default'])
  t.deepEqual(read({ KUBECONFIG: file, KUBERNETES_CONTEXT: 'shop' }).namespaces, ['shop'])
})

test('of several kubeconfig files the first has the word', (t) => {
  const folder = folderWith(t, { one: 'contexts: []\n', two: kubeconfig, three: 'current-context: other\n' })
  const files = ['one', 'two', 'three'].map((name) => join(folder, name))
  t.deepEqual(read({ KUBECONFIG: files.join(delimiter) }).access, {
    kind: 'kubeconfig',
    files,
    context: 'home',
  })
})

test('one namespace, several or all', (t) => {
  const file = join(folderWith(t, { config: kubeconfig }), 'config')
  const namespaces = (KUBERNETES_NAMESPACE: string) =>
    read({ KUBECONFIG: file, KUBERNETES_NAMESPACE }).namespaces
  t.deepEqual(namespaces('shop'), ['shop'])
  t.deepEqual(namespaces('shop, mail,shop'), ['shop', 'mail'])
  t.is(namespaces('*'), undefined)
})

test('every fault of the settings names its variable', (t) => {
  const folder = folderWith(t, { config: kubeconfig, list: '- token: hunter2\n', broken: 'a: "hunter2' })
  const lines = (env: Record<string, string>) => faultLines(t, { env: { DISCOVERY: 'kubernetes', ...env } })
  const KUBECONFIG = join(folder, 'config')
  t.deepEqual(
    lines({
      KUBECONFIG,
      KUBERNETES_NAMESPACE: 'Shop,*',
      KUBERNETES_ANNOTATION_PREFIX: 'gateway.jinmini.com',
      KUBERNETES_ZONE: 'eu west',
    }),
    [
      'KUBERNETES_NAMESPACE: found "Shop,*", expected names of namespaces separated by commas, or *',
      'KUBERNETES_ANNOTATION_PREFIX: found "gateway.jinmini.com", expected a DNS name and a slash, such as gateway.jinmini.com/',
      'KUBERNETES_ZONE: found "eu west", expected the name of a zone, such as eu-west-1a',
    ],
  )
  t.deepEqual(lines({ KUBECONFIG, KUBERNETES_CONTEXT: 'shp' }), [
    'KUBERNETES_CONTEXT: found "shp", expected one of home, shop (did you mean `shop`?)',
  ])
  t.deepEqual(lines({ KUBERNETES_CONTEXT: 'shop' }), [
    'KUBECONFIG: found nothing, expected a kubeconfig file, since KUBERNETES_CONTEXT is set',
  ])
  t.deepEqual(lines({}), [
    'KUBECONFIG: found nothing, expected a kubeconfig file, since no service account is here',
  ])
  for (const name of ['list', 'broken', 'missing']) {
    const [line = ''] = lines({ KUBECONFIG: join(folder, name) })
    t.regex(
      line,
      /^KUBECONFIG: found .*, expected a kubeconfig file that can be read: .*(?:is no kubeconfig|is not YAML|ENOENT)/,
    )
    t.notRegex(line, /hunter2/)
  }
})
