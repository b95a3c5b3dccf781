/** @throws Error that says how the command is used, where the argument is no whole number above 0 */
export function wholeNumber(text: string | undefined, otherwise: number, usage: string): number {
  const value = text === undefined ? otherwise : Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(usage)
  return value
}

/** Runs a bench to its end; a fault is one line and exit code 1. */
export async function runToEnd(main: () => Promise<void>): Promise<void> {
  await main().catch((error: Error) => {
    console.error(error.message)
    process.exitCode = 1
  })
}
