/**
 * What the processes that serve one gateway's door together can be asked of themselves, or told to do: each question by
 * its name, with an argument where it takes one.
 */
export type Answers = Readonly<Record<string, (argument?: never) => unknown>>

/** The processes that serve one gateway's door together (WORKERS), seen from one of them. */
export interface Peers<A extends Answers> {
  /**
   * Asks every one of them the same, itself included, and first; one of the others that does not answer in time is
   * left out. Arguments and answers are structured-cloneable.
   */
  gather<Q extends keyof A & string>(
    question: Q,
    argument?: Parameters<A[Q]>[0],
  ): Promise<readonly [Answer<A, Q>, ...Answer<A, Q>[]]>
}

type Answer<A extends Answers, Q extends keyof A> = Awaited<ReturnType<A[Q]>>

/** Puts a process among its peers: they may ask it what `answers` has. */
export type JoinPeers = <A extends Answers>(answers: A) => Peers<A>

/** A gateway of one process has nobody else to ask. */
export const alone: JoinPeers = (answers) => ({
  async gather(question, argument) {
    return [(await answers[question]!(argument as never)) as never]
  },
})
