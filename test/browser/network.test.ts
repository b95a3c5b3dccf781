import test from 'ava'
import { useBrowser } from '../support/browser.ts'
import { httpUpstream } from '../support/upstream.ts'

const openPage = useBrowser(test)

test('the browser of these tests reaches nothing but the origin under test, and tells of every attempt', async (t) => {
  const other = await httpUpstream(t, (_request, response) => response.end())
  const { origin } = await httpUpstream(t, (_request, response) => {
    response.setHeader('Content-Type', 'text/html')
    response.end(`<script src="http://example.com/a.js"></script><img src="${other.origin}/b.png">`)
  })
  const { page, faults } = await openPage(t)(origin)

  await page.goto(origin)

  t.true(faults.includes('request to http://example.com/a.js'))
  t.true(faults.includes('failed request to http://example.com/a.js'))
  t.true(faults.includes(`request to ${other.origin}/b.png`))
})
