import { methods } from './grammar.ts'
import { isObject, type Json, type JsonObject } from './json.ts'

type Changing = Record<string, Json>

const forms = ['multipart/form-data', 'application/x-www-form-urlencoded']

/**
 * A Swagger 2.0 document as the upgrade to OpenAPI 3.0 expects it. Left to itself the upgrade
 * - keeps references to shared body and form parameters among the parameters, where no body may stand;
 * - gives a path's body to those of its operations that are written after it, also to a GET;
 * - drops bodies and replies whose list of media types is empty;
 * - sends forms without files as multipart;
 * - repeats a list in a form that does not say how it is written, which means commas;
 * - fails at a parameter without a place, and at an extension of a path that is null;
 * - loses the base path where the host is no host, such as a placeholder.
 */
export function prepareSwagger(document: JsonObject): JsonObject {
  const { host: _, schemes: __, parameters, paths, ...rest } = document
  const shared = isObject(parameters) ? parameters : {}
  const prepared: Changing = { ...withMediaTypes(rest) }
  const kept = Object.entries(shared).filter(([, parameter]) => isParameter(parameter) && !isBody(parameter))
  if (kept.length > 0) prepared.parameters = Object.fromEntries(kept)
  if (isObject(paths)) {
    prepared.paths = Object.fromEntries(
      Object.entries(paths).flatMap(([path, item]) =>
        isObject(item) && !path.startsWith('x-') ? [[path, pathItem(item, shared, prepared)]] : [],
      ),
    )
  }
  return prepared
}

function pathItem(item: JsonObject, shared: JsonObject, document: JsonObject): JsonObject {
  const common = parametersOf(item.parameters, shared)
  const bodies = common.filter(isBody)
  const others = common.filter((parameter) => !isBody(parameter))
  const entries: [string, Json][] = others.length > 0 ? [['parameters', others]] : []
  if (typeof item.$ref === 'string') entries.push(['$ref', item.$ref])
  for (const method of methods) {
    const operation = item[method]
    if (isObject(operation)) entries.push([method, prepareOperation(operation, bodies, shared, document)])
  }
  return Object.fromEntries(entries)
}

function prepareOperation(
  operation: JsonObject,
  inherited: readonly Json[],
  shared: JsonObject,
  document: JsonObject,
): JsonObject {
  const parameters = parametersOf(operation.parameters, shared)
  const bodies = parameters.filter(isBody)
  const prepared: Changing = {
    ...withMediaTypes(operation),
    parameters: [...parameters, ...(bodies.length === 0 ? inherited : [])],
  }
  const { responses } = operation
  if (isObject(responses)) {
    prepared.responses = Object.fromEntries(
      Object.entries(responses).filter(([name, reply]) => isObject(reply) && !name.startsWith('x-')),
    )
  }
  const fields = (prepared.parameters as Json[]).filter((item) => isObject(item) && item.in === 'formData')
  const consumes = prepared.consumes ?? document.consumes
  const saysForm = Array.isArray(consumes) && consumes.some((type) => forms.includes(String(type)))
  if (fields.length > 0 && !saysForm) {
    const files = fields.some((item) => isObject(item) && item.type === 'file')
    prepared.consumes = [forms[files ? 0 : 1]!]
  }
  return prepared
}

/** Its parameters, those written out that the upgrade must see to know what they are. */
function parametersOf(value: Json | undefined, shared: JsonObject): Json[] {
  if (!Array.isArray(value)) return []
  return (value as Json[]).flatMap((parameter) => {
    const [, name] =
      isObject(parameter) && typeof parameter.$ref === 'string'
        ? (/^#\/parameters\/([^/]+)$/.exec(parameter.$ref) ?? [])
        : []
    const target = name !== undefined && Object.hasOwn(shared, name) ? shared[name]! : undefined
    const seen = target !== undefined && isBody(target) ? structuredClone(target) : parameter
    return isParameter(seen) ? [withSeparator(seen)] : []
  })
}

const withSeparator = (parameter: Json): Json =>
  isObject(parameter) && parameter.in === 'formData' && parameter.type === 'array'
    ? { collectionFormat: 'csv', ...parameter }
    : parameter

const isBody = (parameter: Json): boolean =>
  isObject(parameter) && (parameter.in === 'body' || parameter.in === 'formData')

const isParameter = (parameter: Json): boolean =>
  isObject(parameter) && (typeof parameter.$ref === 'string' || typeof parameter.in === 'string')

function withMediaTypes(object: JsonObject): JsonObject {
  const entries = Object.entries(object).filter(
    ([key, value]) => !['consumes', 'produces'].includes(key) || (Array.isArray(value) && value.length > 0),
  )
  return Object.fromEntries(entries)
}
