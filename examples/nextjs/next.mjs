// Next.js tells its makers how it is used, unless this is set before it begins; its own .env is read too late for that.
process.env.NEXT_TELEMETRY_DISABLED ??= '1'
await import('next/dist/bin/next')
