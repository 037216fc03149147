/** Node waits for terminals when it writes: one that takes nothing would hold up the whole process, signals included. */
export function neverBlock(
  stream: NodeJS.WriteStream & { _handle?: { setBlocking?(on: boolean): void } },
): void {
  stream._handle?.setBlocking?.(false);
}

export function leaveRawMode(stdin: NodeJS.ReadStream): void {
  try {
    stdin.setRawMode(false);
  } catch {
    // A terminal that is gone has no mode.
  }
}
