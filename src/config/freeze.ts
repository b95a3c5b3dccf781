/**
 * Freezes a value and everything in it: arrays, plain objects and maps (whose writing methods then throw).
 * Objects of other classes are left alone: they look after their own state.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  if (value instanceof Map) {
    for (const item of value.values()) deepFreeze(item)
    for (const method of ['set', 'delete', 'clear']) Object.defineProperty(value, method, { value: refuse })
    return Object.freeze(value)
  }
  if (!Array.isArray(value) && !isPlain(value)) return value
  Object.freeze(value)
  for (const item of Object.values(value)) deepFreeze(item)
  return value
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function refuse(): never {
  throw new TypeError('The configuration is frozen')
}
