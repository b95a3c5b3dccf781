import type { ToPrimary, ToWorker } from './messages.ts'
import type { Answers, JoinPeers, Peers } from './peers.ts'

/** The other workers, by way of the primary. */
export interface PeerLink {
  readonly join: JoinPeers
  /** Takes what the primary says of questions and answers. */
  take(message: Extract<ToWorker, { kind: 'question' | 'asked' | 'answer' }>): void
}

/** A question that has been asked. */
interface Asked {
  readonly values: unknown[]
  /** How many are asked; undefined until it is known. */
  others: number | undefined
  answered: number
  readonly done: () => void
}

/** @param patienceMs who has not answered by then is left out */
export function createPeerLink(say: (message: ToPrimary) => void, patienceMs = 1000): PeerLink {
  const asked = new Map<number, Asked>()
  let answers: Answers = {}
  let count = 0

  async function answer(asker: number, id: number, question: string, argument: unknown): Promise<void> {
    let value: unknown
    try {
      if (Object.hasOwn(answers, question)) value = await answers[question]?.(argument as never)
    } catch {
      // Left out, as one that does not answer in time.
    }
    say({ kind: 'answer', asker, id, value })
  }

  function ask(question: string, argument: unknown): Promise<unknown[]> {
    const id = ++count
    return new Promise((resolve) => {
      const values: unknown[] = []
      const done = () => {
        clearTimeout(timer)
        asked.delete(id)
        resolve(values)
      }
      const timer = setTimeout(done, patienceMs)
      asked.set(id, { values, others: undefined, answered: 0, done })
      say({ kind: 'ask', id, question, argument })
    })
  }

  return {
    join<A extends Answers>(own: A): Peers<A> {
      answers = own
      return {
        async gather(question, argument) {
          const others = ask(question, argument)
          return [await own[question]!(argument as never), ...(await others)] as never
        },
      }
    },
    take(message) {
      if (message.kind === 'question') {
        void answer(message.asker, message.id, message.question, message.argument)
        return
      }
      const question = asked.get(message.id)
      if (question === undefined) return
      if (message.kind === 'asked') {
        question.others = message.others
      } else {
        question.answered += 1
        if (message.value !== undefined) question.values.push(message.value)
      }
      if (question.answered === question.others) question.done()
    },
  }
}
