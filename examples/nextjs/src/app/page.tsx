import { FrontEnd } from '../browser/front-end.tsx'
import { gateway } from '../server/gateway.ts'
import { readSettings } from '../server/settings.ts'

/** Words for the codes that the routes of this front end redirect with; nothing else of an address is shown. */
const problems: Readonly<Record<string, string>> = {
  provider: 'There is no such provider.',
  stranger: 'This login was not begun in this browser, or was begun anew since. Log in again.',
  late: 'This login is used up, or was left for over a minute. Log in again.',
  gateway: 'The gateway did not answer. See whether it runs, and log in again.',
}

export default async function Page({ searchParams }: PageProps<'/'>) {
  const { problem } = await searchParams
  const { gatewayUrl, showTokens } = readSettings()
  return (
    <FrontEnd
      gatewayUrl={gatewayUrl}
      showTokens={showTokens}
      providers={await readProviders()}
      problem={typeof problem === 'string' ? problems[problem] : undefined}
    />
  )
}

/** Those that the gateway offers now; undefined where it does not answer. */
async function readProviders() {
  try {
    const { data } = await gateway().GET('/oauth/providers')
    const offered = data?.providers.filter(({ enabled }) => enabled) ?? []
    return offered.map(({ name, title }) => ({ name, title }))
  } catch {
    return undefined
  }
}
