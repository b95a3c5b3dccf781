import type { Metadata } from 'next'
import { connection } from 'next/server'
import './style.css'

export const metadata: Metadata = {
  title: 'A front end of your own · munjigi',
  description: 'Logs in through the gateway, and calls the services behind it.',
}

export default async function Layout({ children }: LayoutProps<'/'>) {
  // Made for each request, not when it is built: its scripts bear the nonce of the request's policy.
  await connection()
  return (
    <html lang="en">
      <body>{children}</body>
    </html>
  )
}
