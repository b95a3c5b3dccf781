/** Why a service's document cannot be merged, in words for whoever runs the service. */
export class DocumentRefused extends Error {
  override name = 'DocumentRefused'
  readonly status: 'unsupported' | 'invalid'

  constructor(reason: string, status: 'unsupported' | 'invalid' = 'invalid') {
    super(reason)
    this.status = status
  }
}

/** Text of a service's own, short enough for a reason. */
export const shown = (text: string): string => JSON.stringify(text.slice(0, 100))
