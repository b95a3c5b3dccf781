import test from 'ava'
import { createPeerLink, type PeerLink } from '../../src/workers/join-peers.ts'
import type { ToPrimary } from '../../src/workers/messages.ts'

/** Workers and the primary between them, which passes questions on as it does (workers/primary.ts). */
function connect(count: number, patienceMs?: number): readonly PeerLink[] {
  const links: PeerLink[] = Array.from({ length: count }, (_, self) =>
    createPeerLink((message: ToPrimary) => {
      if (message.kind === 'ask') {
        const { id, question, argument } = message
        for (const [index, link] of links.entries()) {
          if (index !== self) link.take({ kind: 'question', asker: self, id, question, argument })
        }
        links[self]!.take({ kind: 'asked', id, others: count - 1 })
      } else if (message.kind === 'answer') {
        links[message.asker]!.take({ kind: 'answer', id: message.id, value: message.value })
      }
    }, patienceMs),
  )
  return links
}

test('all are asked, the one that asks included', async (t) => {
  const peers = connect(3).map(({ join }, index) =>
    join({ number: () => index, twice: async () => 2 * index }),
  )
  t.deepEqual((await peers[1]!.gather('number')).toSorted(), [0, 1, 2])
  t.deepEqual((await peers[0]!.gather('twice')).toSorted(), [0, 2, 4])
})

test('one that does not answer in time, or cannot, is left out', async (t) => {
  const [first, second, third] = connect(3, 50)
  const peers = first!.join({ number: (): number | Promise<number> => 1 })
  second!.join({ number: () => new Promise(() => {}) })
  third!.join({
    number: () => {
      throw new Error('broken')
    },
  })
  t.deepEqual(await peers.gather('number'), [1])
})

test('one that cannot answer is not waited for', async (t) => {
  const [first, second] = connect(2, 60_000)
  const peers = first!.join({ number: (): number => 1 })
  second!.join({})
  t.deepEqual(await peers.gather('number'), [1])
})

test('a worker with nobody beside it has its own answer at once', async (t) => {
  const [only] = connect(1, 60_000)
  t.deepEqual(await only!.join({ number: () => 7 }).gather('number'), [7])
})

test('an argument comes to every one of them', async (t) => {
  const heard: string[] = []
  const peers = connect(3).map(({ join }, index) =>
    join({
      say(words?: { readonly text: string }) {
        heard.push(`${index} ${words?.text}`)
        return words?.text
      },
    }),
  )
  t.deepEqual(await peers[1]!.gather('say', { text: 'hello' }), ['hello', 'hello', 'hello'])
  t.deepEqual(heard.toSorted(), ['0 hello', '1 hello', '2 hello'])
})
