import { styleText } from 'node:util'
import type { LogFields } from './log.ts'

const colours = { debug: 'gray', info: 'reset', warn: 'yellow', error: 'red' } as const

/** A line for a person: the message, and a stack below it where there is one. Coloured only on a terminal. */
export function developmentLine(level: keyof typeof colours, fields: LogFields, message: string): string {
  const prefix = level === 'info' ? '' : `${level}: `
  const stack = typeof fields['stack'] === 'string' ? `\n${fields['stack']}` : ''
  const text = `${prefix}${message}${stack}`
  return level === 'info' ? text : styleText(colours[level], text, { stream: process.stdout })
}
