/**
 * What koa-proxies is given in place of Koa's context, its `req` and its `res`, all in one: of those it only reads
 * `path`, rewrites `url`, notes the `oldPath` and listens for how it ends, so it never touches the sockets
 * (docs/adr/0001).
 */
export abstract class KoaProxiesContext {
  readonly req = this
  readonly res = this
  readonly path: string
  /** The target; the house's once koa-proxies has rewritten it. */
  url: string
  oldPath = ''
  /** Of the house's reply; 0 until it has begun. */
  status = 0
  /** Resolves koa-proxies' promise: everything that could be said to the client has been. */
  protected onFinish: () => void = noop
  /** Rejects it: the client has heard nothing yet. */
  protected onClose: () => void = noop

  constructor(path: string, url: string) {
    this.path = path
    this.url = url
  }

  /** koa-proxies' ear. */
  on(event: 'finish' | 'close', listener: () => void): void {
    if (event === 'finish') this.onFinish = listener
    else this.onClose = listener
  }
}

const noop = () => {}
