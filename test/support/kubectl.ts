import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { parseAllDocuments } from 'yaml'
import { findKubectl } from '../../scripts/kubectl.ts'
import type { Manifest } from './kubernetes-schemas.ts'

const run = promisify(execFile)
const kubectl = await findKubectl()
const rendered = new Map<string, Promise<readonly Manifest[]>>()

/** Everything that `kubectl apply -k` would hand to the API server; rejects with what kubectl complained of. */
export type Render = (folder: string) => Promise<readonly Manifest[]>

/** A test by the real kubectl: skipped where it cannot be had, failed instead with REQUIRE_KUBECTL=1. */
export function kubectlTest(
  title: string,
  work: (t: ExecutionContext, render: Render) => Promise<void>,
): void {
  if ('binary' in kubectl) {
    const { binary } = kubectl
    test(title, (t) =>
      work(t, (folder) => {
        const known = rendered.get(folder) ?? render(binary, folder)
        rendered.set(folder, known)
        return known
      }),
    )
  } else if (process.env.REQUIRE_KUBECTL === '1') test(title, (t) => t.fail(kubectl.unavailable))
  else test.skip(`${title} (SKIPPED, ${kubectl.unavailable})`, (t) => t.pass())
}

async function render(binary: string, folder: string): Promise<readonly Manifest[]> {
  const { stdout } = await run(binary, ['kustomize', folder], { maxBuffer: 16 * 2 ** 20 })
  return parseAllDocuments(stdout).map((document) => {
    if (document.errors[0] !== undefined) throw document.errors[0]
    return withoutLineBreaks(document.toJS() as Manifest)
  })
}

/** Kustomize breaks the lines of base64, which the API server reads over, and the schema's `byte` does not. */
function withoutLineBreaks(
  object: Manifest & { readonly data?: Readonly<Record<string, string>> },
): Manifest {
  if (object.kind !== 'Secret' || object.data === undefined) return object
  const unbroken = Object.entries(object.data).map(([key, text]) => [key, text.replaceAll('\n', '')])
  return { ...object, data: Object.fromEntries(unbroken) } as Manifest
}
