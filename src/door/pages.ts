import Router from '@koa/router'
import type { Context, Middleware, Next } from 'koa'
import { GatewayError } from '../errors.ts'
import { docsRedirectFile } from '../oauth/public-clients.ts'
import type { Log } from '../observability/log.ts'
import { createDocumentCollector, type DocumentCollector, type TableReader } from '../openapi/collect.ts'
import { createGatewayDocument } from '../openapi/document.ts'
import { createOpenapiEndpoints } from '../openapi/endpoint.ts'
import { createPublisher } from '../openapi/publish.ts'
import { createWorkshop } from '../openapi/workshop.ts'
import { createDocs } from './docs.ts'
import { createWelcome, type WelcomeOptions } from './welcome.ts'

export interface PagesOptions extends WelcomeOptions {
  readonly table: TableReader & WelcomeOptions['table']
  /** Whether the gateway has tokens of its own, and dummies: the API document tells of them. */
  readonly tokens: boolean
  readonly dummies: boolean
  /** What a login is granted; undefined where nobody can log in. */
  readonly loginScope: string | undefined
  readonly log: Log
}

export interface Pages {
  /** Answers the welcome, Swagger UI and the API document, and leaves every other path to the next one. */
  readonly middleware: Middleware
  /** What is known of each service's API document. */
  readonly documents: DocumentCollector['collected']
  /** Starts to collect the services' API documents. */
  start(): void
  /** Ends every fetch and timer. */
  stop(): Promise<void>
}

/** What the gateway shows of itself, under `ROUTE_PREFIX`. */
export function createPages(options: PagesOptions): Pages {
  const { routePrefix, publicUrl, loginScope, table, log } = options
  const workshop = createWorkshop()
  const collector = createDocumentCollector({ table, workshop, log })
  const login = loginScope === undefined ? undefined : { publicUrl, scope: loginScope }
  const own = createGatewayDocument({ ...options, login })
  const publisher = createPublisher({ own, routePrefix, table, collector, workshop, log })
  const openapi = createOpenapiEndpoints({ routePrefix, publisher, collector, table })
  const docs = createDocs({
    ...{ routePrefix, publicUrl, own, login: login !== undefined },
    documents: () => openapi.documents(),
  })

  const router = new Router({ strict: true, sensitive: true })
  router.get(routePrefix === '' ? '/' : [routePrefix, `${routePrefix}/`], createWelcome(options))
  router.get([`${routePrefix}/docs`, `${routePrefix}/docs/`], docs.page)
  router.get(`${routePrefix}/docs/assets/:version/:file`, docs.asset)
  router.get(`${routePrefix}/docs/gateway.json`, docs.own)
  router.get(`${routePrefix}/docs/${docsRedirectFile}`, docs.redirect)
  router.get(`${routePrefix}/openapi.json`, openapi.whole)
  router.get(`${routePrefix}/openapi`, openapi.list)
  router.get(`${routePrefix}/openapi/:file`, openapi.single)
  const routes = router.routes()

  return {
    middleware(ctx, next) {
      return routes(ctx as Parameters<typeof routes>[0], () => refuseOtherMethods(ctx, next))
    },
    documents: collector.collected,
    start() {
      collector.start()
      publisher.start()
    },
    async stop() {
      publisher.stop()
      await Promise.all([collector.stop(), workshop.stop()])
    },
  }

  /** Where no page answered: a path of ours may have been asked for with another method. */
  function refuseOtherMethods({ method, path }: Context, next: Next): Promise<unknown> {
    const isRead = method === 'GET' || method === 'HEAD'
    if (isRead || router.match(path, 'GET').pathAndMethod.length === 0) return next()
    throw new GatewayError('method_not_allowed', { headers: { Allow: 'GET, HEAD' } })
  }
}
