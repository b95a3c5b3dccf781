import { styleText } from 'node:util'
import type { LogFields } from './log.ts'

const colours = { debug: 'gray', info: 'reset', warn: 'yellow', error: 'red' } as const

/** A line for a person: the message, and a stack below it where there is one. Coloured only on a terminal. */
export function developmentLine(level: keyof typeof colours, fields: LogFields, message: string): string {
  const prefix = level === 'info' ? '' : `${level}: `
  const stack = typeof fields.stack === 'string' ? setIn(fields.stack) : ''
  const text = `${prefix}${printable(message)}${stack}`
  return level === 'info' ? text : styleText(colours[level], text, { stream: process.stdout })
}

/** What could begin a line, move a terminal's cursor or turn text round: some of a message came from outside. */
const unprintable = /[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu

const printable = (text: string) => text.replace(unprintable, '?')

/** Below its line and to the right of it, so that no part of it can be taken for another line. */
const setIn = (stack: string) =>
  stack
    .replaceAll('\t', '  ')
    .split(/\r?\n/)
    .map((line) => `\n  ${printable(line)}`)
    .join('')
