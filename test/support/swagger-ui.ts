import type { Page } from 'playwright-core'

/** Opens an operation of Swagger UI and makes it ready to be executed. */
export async function tryOut(page: Page, path: string, method?: string) {
  const block = method === undefined ? '.opblock' : `.opblock-${method}`
  const operation = page.locator(block, { has: page.locator(`[data-path="${path}"]`) })
  await operation.locator('.opblock-summary-control').click()
  await operation.getByRole('button', { name: 'Try it out' }).click()
  return operation
}

/** Executes an operation: the reply as the page shows it. */
export async function execute(operation: ReturnType<Page['locator']>) {
  // What an earlier reply left would be taken for this one's.
  const clear = operation.getByRole('button', { name: 'Clear' })
  if (await clear.isVisible()) await clear.click()
  await operation.getByRole('button', { name: 'Execute' }).click()
  const reply = operation.locator('.live-responses-table tbody tr').first()
  const [status, body] = await Promise.all([
    reply.locator('.response-col_status').innerText(),
    reply.locator('.microlight').first().innerText(),
  ])
  return { status: status.trim(), body: JSON.parse(body) as unknown }
}
