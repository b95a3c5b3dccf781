import { createGatewayDocument } from '../../src/openapi/document.ts'
import type { Json, JsonObject } from '../../src/openapi/json.ts'
import { type MergeJob, mergeDocuments } from '../../src/openapi/merge.ts'
import type { PublishedRoute } from '../../src/openapi/public-paths.ts'
import { readDocument } from '../../src/openapi/read-document.ts'

export const gatewayDocument = createGatewayDocument({
  ...{ routePrefix: '', version: '1.0.0', tokens: false, dummies: false },
})

/** A merged document, as it is served. */
export interface Merged {
  readonly info: JsonObject
  readonly servers: Json
  readonly paths: Record<string, Record<string, Record<string, Json>>>
  readonly components: Record<string, Record<string, JsonObject>>
  readonly tags: { readonly name: string; readonly description?: string }[]
  readonly 'x-munjigi-services': JsonObject[]
}

type State = MergeJob['services'][number]

/** A service whose document is read. OpenAPI 3.1 unless it says otherwise. */
export function serviceOf(name: string, document: JsonObject, fetchedAt = 0): State {
  const says = document.swagger !== undefined || document.openapi !== undefined
  const whole = says ? document : { openapi: '3.1.0', ...document }
  const reading = readDocument(Buffer.from(JSON.stringify(whole)))
  if (reading.status !== 'ok') return { name, ...reading }
  return { name, status: 'ok', document: reading.document, outline: reading.outline, fetchedAt }
}

export function mergedOf(
  routes: readonly PublishedRoute[],
  services: readonly State[],
  options: { readonly own?: JsonObject; readonly only?: string } = {},
): Merged {
  const job: MergeJob = { own: gatewayDocument, routes, routePrefix: '', services, ...options }
  return JSON.parse(new TextDecoder().decode(mergeDocuments(job))) as Merged
}

/** An open route that forwards everything below its prefix. */
export const openRoute = (service: string, prefix: string, strip = ''): PublishedRoute => ({
  ...{ service, prefix, strip, auth: 'none', scopes: [], openapi: '/openapi.json', instances: [] },
})
