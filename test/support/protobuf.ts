/** A message of Protocol Buffers, read by the numbers of its fields. */
export interface Message {
  has(field: number): boolean
  /** A varint or a fixed32; 0 where it is absent. */
  number(field: number): number
  fixed64(field: number): bigint
  /** Empty where it is absent. */
  bytes(field: number): Buffer
  /** A repeated field of messages. */
  messages(field: number): Message[]
}

/** Reads the wire format (https://protobuf.dev/programming-guides/encoding/). */
export function protobufMessage(buffer: Buffer): Message {
  const fields = new Map<number, (bigint | Buffer)[]>()
  let at = 0

  function varint(): bigint {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = buffer.readUInt8(at)
      at += 1
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }

  function take(length: number): Buffer {
    if (at + length > buffer.length) throw new Error('a message that is cut short')
    at += length
    return buffer.subarray(at - length, at)
  }

  function read(wireType: bigint): bigint | Buffer {
    if (wireType === 0n) return varint()
    if (wireType === 1n) return take(8).readBigUInt64LE()
    if (wireType === 2n) return take(Number(varint()))
    if (wireType === 5n) return BigInt(take(4).readUInt32LE())
    throw new Error(`a wire type that nobody uses: ${wireType}`)
  }

  while (at < buffer.length) {
    const key = varint()
    const field = Number(key >> 3n)
    fields.set(field, [...(fields.get(field) ?? []), read(key & 7n)])
  }

  const all = (field: number) => fields.get(field) ?? []
  return {
    has: (field) => fields.has(field),
    number: (field) => Number(all(field).at(-1) ?? 0),
    fixed64: (field) => BigInt((all(field).at(-1) as bigint | undefined) ?? 0n),
    bytes: (field) => (all(field).at(-1) as Buffer | undefined) ?? Buffer.alloc(0),
    messages: (field) => all(field).map((value) => protobufMessage(value as Buffer)),
  }
}
