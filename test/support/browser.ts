import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { ExecutionContext, TestFn } from 'ava'
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core'
import { patienceMs } from './until.ts'

const run = promisify(execFile)
const cacheFolder = resolve(import.meta.dirname, '../../.cache/chromium')

export interface TestPage {
  readonly page: Page
  /** What should not have been: errors on the console, exceptions, requests to anywhere else, failed requests. */
  readonly faults: readonly string[]
}

/** @param origins of the test: one, or several where a page leads to another */
export type OpenPage = (
  origins: string | readonly string[],
  options?: BrowserContextOptions,
) => Promise<TestPage>

/**
 * Gives a test file a real browser, and each of its tests a page of its own that has no network but the test's
 * origin: nothing else is resolved or connected to, and the attempt is a fault. A test asserts at its end that
 * there were none.
 */
export function useBrowser(test: TestFn): (t: ExecutionContext) => OpenPage {
  let browser: Browser
  test.before('start a browser', async () => {
    browser = await launch()
  })
  test.after.always('close the browser', () => browser?.close())
  return (t) => async (origins, options) => {
    const context = await browser.newContext(options)
    context.setDefaultTimeout(patienceMs)
    t.teardown(() => context.close())
    return watchedPage(context, typeof origins === 'string' ? [origins] : origins)
  }
}

async function watchedPage(context: BrowserContext, origins: readonly string[]): Promise<TestPage> {
  const faults: string[] = []
  context.on('request', (request) => {
    const { protocol, origin } = new URL(request.url())
    if (!origins.includes(origin) && protocol !== 'data:')
      faults.push(`request to ${request.url().slice(0, 200)}`)
  })
  context.on('requestfailed', (request) => faults.push(`failed request to ${request.url().slice(0, 200)}`))
  const page = await context.newPage()
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => faults.push(`exception: ${error.message}`))
  return { page, faults }
}

async function launch(): Promise<Browser> {
  const args = [
    // Every name and address but the loopback's is unknown.
    '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost',
    '--disable-webgl',
    '--font-render-hinting=none',
  ]
  const executablePath = process.env.CHROMIUM_PATH
  if (executablePath !== undefined) return chromium.launch({ executablePath, args, timeout: patienceMs })
  // The package holds a build for Linux on x64; elsewhere the Chrome that is installed will do.
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return chromium.launch({ channel: 'chrome', args, timeout: patienceMs })
  const folder = await unpackChromium()
  return chromium.launch({
    executablePath: join(folder, 'chromium'),
    args,
    timeout: patienceMs,
    env: {
      ...definedEnvironment(),
      // It brings the libraries (NSS, Expat) and the font it needs: the machine needs none but the C library.
      LD_LIBRARY_PATH: join(folder, 'al2023/lib'),
      FONTCONFIG_FILE: join(folder, 'fonts.conf'),
    },
  })
}

/**
 * Unpacks @sparticuz/chromium into the project's cache, once. It unpacks into the temporary folder, and takes a
 * half-written binary there for a whole one: so a process of its own gets a folder of its own, which takes its
 * final name when it is complete. Test files that do this side by side do it twice, and the first one wins.
 */
async function unpackChromium(): Promise<string> {
  const entry = import.meta.resolve('@sparticuz/chromium')
  const manifest = JSON.parse(await readFile(new URL('../../package.json', entry), 'utf8')) as {
    version: string
  }
  const folder = join(cacheFolder, manifest.version)
  if (existsSync(folder)) return folder
  await mkdir(cacheFolder, { recursive: true })
  const workplace = await mkdtemp(join(cacheFolder, 'unpack-'))
  try {
    const script = `
      const { default: chromium } = await import(${JSON.stringify(entry)})
      chromium.setGraphicsMode = false
      await chromium.executablePath()`
    // The runtime's name makes it unpack the libraries too, which it otherwise does on Amazon's machines only.
    const env = { ...process.env, TMPDIR: workplace, AWS_LAMBDA_JS_RUNTIME: 'nodejs24.x' }
    await run(process.execPath, ['--input-type=module', '-e', script], { env })
    await writeFile(join(workplace, 'fonts.conf'), fontsConfiguration(folder))
    await rename(workplace, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error
    })
  } finally {
    await rm(workplace, { recursive: true, force: true })
  }
  return folder
}

/** The package's own names fixed folders; without a single font Chromium ends itself. */
function fontsConfiguration(folder: string): string {
  return `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${folder}/fonts</dir><dir>/usr/share/fonts</dir><cachedir>${folder}/fonts-cache</cachedir>
</fontconfig>
`
}

function definedEnvironment(): Record<string, string> {
  const entries = Object.entries(process.env)
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined))
}
