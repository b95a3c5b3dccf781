export interface ReplyState {
  /** Undefined where there was no reply. */
  readonly status: number | undefined
  readonly body: unknown
}

interface ReplyProps {
  readonly request: string
  readonly reply: ReplyState | undefined
}

/** One request, and what became of it. */
export function Reply({ request, reply }: ReplyProps) {
  return (
    <section className="reply" aria-label={request}>
      <h2>
        <code>{request}</code>
        {reply !== undefined && (
          <span className={reply.status === 200 ? 'status up' : 'status down'}>
            {reply.status ?? 'no reply'}
          </span>
        )}
      </h2>
      <pre>{reply === undefined ? '…' : JSON.stringify(reply.body, undefined, 2)}</pre>
    </section>
  )
}
