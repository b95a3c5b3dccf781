import { Validator } from '@seriousme/openapi-schema-validator'

/** The faults of a document by the official JSON Schema of OpenAPI 3.1; none where it is valid. */
export type FaultsOf = (document: object) => readonly string[]

export function openapiSchema(): FaultsOf {
  // `validate` would look at the references too, as it understands them; the schema alone is not in its types.
  const validator = new Validator() as unknown as { getAjvValidator(version: string): Validate }
  const validate = validator.getAjvValidator('3.1')
  return (document) => {
    if (validate(document)) return []
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
    )
  }
}

interface Validate {
  (document: object): boolean
  readonly errors?: readonly { instancePath: string; message?: string; params: object }[] | null
}
