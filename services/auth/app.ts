import Router from '@koa/router'
import Koa from 'koa'
import type { Accounts } from './accounts.ts'
import { jsonBody } from './body.ts'
import { type Log, requestLine } from './log.ts'
import { openapiDocument } from './openapi.ts'
import { problems } from './problem.ts'

export interface AuthServiceOptions {
  readonly log: Log
  readonly accounts: Pick<Accounts, 'signup' | 'login' | 'me'>
}

/** The auth service: a Koa app that is not listening yet. */
export function createAuthService({ log, accounts }: AuthServiceOptions): Koa {
  const router = new Router({ strict: true, sensitive: true })
  const body = jsonBody()
  router.get('/users', (ctx) => {
    ctx.body = { message: 'Welcome from AUTH service' }
  })
  router.post('/user/signup', body, accounts.signup)
  router.post('/user/login', body, accounts.login)
  router.get('/user/me', accounts.me)
  // Whether the process is alive: a database that is away for a moment must not cost the whole service its place
  // in the address book.
  router.get('/health', (ctx) => {
    ctx.body = { status: 'ok' }
  })
  router.get('/openapi.json', (ctx) => {
    ctx.body = openapiDocument
  })

  const app = new Koa()
  // Koa prints whole stacks of what escapes a reply, such as a client that is gone in mid-body.
  app.silent = true
  app.use(printed(log)).use(problems(log)).use(router.routes()).use(router.allowedMethods())
  return app
}

/** One line for each request, except good health checks: every few seconds one, they would drown the rest. */
function printed(log: Log): Koa.Middleware {
  return async (ctx, next) => {
    const startedAt = performance.now()
    await next()
    if (ctx.path === '/health' && ctx.status === 200) return
    const { method, path, status } = ctx
    log.line(requestLine({ method, path, status, durationMs: performance.now() - startedAt }))
  }
}
