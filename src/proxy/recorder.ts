import type { GatewayError } from '../errors.ts'

/** Listens to the reply of a house: the cache, on routes that have one. Most exchanges have none. */
export interface Recorder {
  /**
   * The reply's head has come.
   *
   * @param headers as undici gives them
   * @param head what the client is to get of it, name, value, name, value …; changed in place
   * @returns false where the client has been answered otherwise: nothing of this reply is for it
   */
  begins(
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
    head: string[],
  ): boolean
  /** @returns false where nothing of the body is wanted any more */
  data(chunk: Buffer): boolean
  /** The client reads slower than the house writes, which waits for it; false once it has caught up. */
  holds(isHeld: boolean): void
  /** The reply has come whole. */
  ends(): void
  /** There is no reply. @returns whether the client has been answered otherwise */
  replaces(error: GatewayError): boolean
  /** Nothing more will come; also after `ends`. */
  over(failure: GatewayError | undefined): void
}
