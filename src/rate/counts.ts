import { createKeyCount, type KeyCount, slide } from './key-count.ts'

/** The counts of one limit of one route, by user or address. */
export interface Counts {
  /** As it is now; of whom nothing is counted, a new one. */
  of(who: string, now: number): KeyCount
  readonly all: () => Iterable<KeyCount>
  readonly size: () => number
}

/** How many are looked at with each newcomer, and how many where one has to go. */
const [looks, mostLooks] = [2, 16]

/**
 * Holds so many counts and no more. Where there are as many, somebody is forgotten for each newcomer: one whose
 * requests have all left the window, or else one who has not been asked for since he was looked at last; one who was
 * refused only where there is nobody else.
 *
 * @param limit as it is now
 */
export function createCounts(windowMs: number, most: number, limit: () => number): Counts {
  const open = createRound()
  const refused = createRound()

  /** Forgets whom it may without any loss. */
  function forgetIfOver(round: Round, count: KeyCount | undefined, now: number): boolean {
    if (count === undefined) return false
    slide(count, now)
    return count.used === 0 && round.counts.delete(count.who)
  }

  function makeRoom(now: number): void {
    const round = open.counts.size > 0 ? open : refused
    let victim: KeyCount | undefined
    for (let i = 0; i < mostLooks; i++) {
      const count = round.next()!
      if (forgetIfOver(round, count, now)) return
      victim ??= count
      if (!count.recent) {
        victim = count
        break
      }
      count.recent = false
    }
    round.counts.delete(victim!.who)
  }

  /** To the round where it belongs. */
  function sort(count: KeyCount, from: Round, to: Round): void {
    from.counts.delete(count.who)
    to.counts.set(count.who, count)
  }

  return {
    of(who, now) {
      const isOpen = open.counts.get(who)
      const known = isOpen ?? refused.counts.get(who)
      if (known !== undefined) {
        known.recent = true
        slide(known, now)
        const isFull = known.used >= limit()
        if (isFull && isOpen !== undefined) sort(known, open, refused)
        else if (!isFull && isOpen === undefined) sort(known, refused, open)
        return known
      }
      // So that those who have gone quiet are not kept for ever.
      for (let i = 0; i < looks; i++) {
        forgetIfOver(open, open.next(), now)
        forgetIfOver(refused, refused.next(), now)
      }
      if (open.counts.size + refused.counts.size >= most) makeRoom(now)
      const made = createKeyCount(who, windowMs)
      open.counts.set(who, made)
      return made
    },
    *all() {
      yield* open.counts.values()
      yield* refused.counts.values()
    },
    size: () => open.counts.size + refused.counts.size,
  }
}

interface Round {
  readonly counts: Map<string, KeyCount>
  /** One after the other, again and again; undefined where there is none. */
  next(): KeyCount | undefined
}

function createRound(): Round {
  const counts = new Map<string, KeyCount>()
  // An iterator that begins anew each time would have to pass all that were deleted.
  let hand = counts.values()
  return {
    counts,
    next() {
      const { value, done } = hand.next()
      if (!done) return value
      hand = counts.values()
      return hand.next().value
    },
  }
}
