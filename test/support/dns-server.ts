import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { ExecutionContext } from 'ava'
import { type Answer, AUTHORITATIVE_ANSWER, decode, encode, type Question } from 'dns-packet'

type QueryType = 'A' | 'AAAA' | 'SRV'

/** RFC 1035 §4.1.1's codes, and a server that says nothing. */
export type DnsFault = 'SERVFAIL' | 'REFUSED' | 'silence'

export interface SrvData {
  readonly target: string
  readonly port: number
  readonly priority?: number
  readonly weight?: number
}

export interface DnsRecords {
  readonly A?: readonly string[]
  readonly AAAA?: readonly string[]
  readonly SRV?: readonly SrvData[]
  /** Seconds. */
  readonly ttl?: number
}

export interface TestDnsServer {
  /** As in DNS_SERVER. */
  readonly address: string
  /** The name has these records and no others; a type without any gets an empty answer (NODATA). */
  answer(name: string, records: DnsRecords): void
  /** The name does not exist (NXDOMAIN), as any that was never mentioned. */
  remove(name: string): void
  /** Questions of these types about the name meet the fault. */
  fail(name: string, fault: DnsFault, types?: readonly QueryType[]): void
  /** Every question from now on stays without an answer. */
  silence(): void
  /** How often the name was asked for, any type. */
  asked(name: string): number
  /** Resolves when the name has been asked for that often. */
  reached(name: string, count: number): Promise<void>
}

const rcodes = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const

/** An authoritative DNS server on a UDP socket of the loopback interface. */
export async function startDnsServer(t: ExecutionContext): Promise<TestDnsServer> {
  const zone = new Map<string, DnsRecords>()
  const faults = new Map<string, DnsFault>()
  const counts = new Map<string, number>()
  let silent = false

  const socket = createSocket('udp4')
  socket.on('message', (message, peer) => {
    const { id, questions: [question] = [] } = decode(message)
    if (question === undefined) return
    const name = question.name.toLowerCase()
    counts.set(name, (counts.get(name) ?? 0) + 1)
    const fault = faults.get(`${question.type} ${name}`)
    if (silent || fault === 'silence') return
    const records = zone.get(name)
    const rcode = rcodes[fault ?? (records === undefined ? 'NXDOMAIN' : 'NOERROR')]
    const answers = fault === undefined && records !== undefined ? answersTo(question, records) : []
    const reply = encode({
      type: 'response',
      ...(id !== undefined && { id }),
      flags: AUTHORITATIVE_ANSWER | rcode,
      questions: [question],
      answers,
    })
    socket.send(reply, peer.port, peer.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.teardown(() => socket.close())

  const clearFaults = (name: string) => {
    for (const type of ['A', 'AAAA', 'SRV']) faults.delete(`${type} ${name}`)
  }
  return {
    address: `127.0.0.1:${socket.address().port}`,
    answer(name, records) {
      clearFaults(name)
      zone.set(name, records)
    },
    remove(name) {
      clearFaults(name)
      zone.delete(name)
    },
    fail(name, fault, types = ['A', 'AAAA', 'SRV']) {
      for (const type of types) faults.set(`${type} ${name}`, fault)
    },
    silence() {
      silent = true
    },
    asked: (name) => counts.get(name) ?? 0,
    async reached(name, count) {
      while ((counts.get(name) ?? 0) < count) await once(socket, 'message')
    },
  }
}

function answersTo({ type, name }: Question, records: DnsRecords): Answer[] {
  const ttl = records.ttl ?? 60
  if (type === 'A' || type === 'AAAA') return (records[type] ?? []).map((data) => ({ type, name, ttl, data }))
  if (type === 'SRV') {
    return (records.SRV ?? []).map(({ target, port, priority = 1, weight = 1 }) => {
      return { type, name, ttl, data: { target, port, priority, weight } }
    })
  }
  return []
}
