import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = new URL('..', import.meta.url)

/** What `npm run gateway` gives to node: its options, and the main file by its full path. */
export function gatewayArgs(): string[] {
  const manifest = readFileSync(new URL('package.json', root), 'utf8')
  const { gateway } = (JSON.parse(manifest) as { scripts: { gateway: string } }).scripts
  const [, , ...args] = gateway.split(' ')
  return args.map((arg) => (arg.startsWith('-') ? arg : fileURLToPath(new URL(arg, root))))
}
