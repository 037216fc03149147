/** What terminals are known to take: hterm's and tmux's limits on what is copied at once, before it is encoded. */
export const MAX_COPIED_BYTES = 74_994;

/** The control sequence by which a terminal puts a text into the user's clipboard (xterm control sequences, OSC 52). */
export function clipboardSequence(text: string): string {
  return `\x1b]52;c;${Buffer.from(text).toString('base64')}\x07`;
}

/** The last of the lines, as many as may be copied at once. */
export function copyable(lines: readonly string[]): readonly string[] {
  let bytes = 0;
  let first = lines.length;
  while (first > 0) {
    bytes += Buffer.byteLength(lines[first - 1]!) + 1;
    if (bytes > MAX_COPIED_BYTES) break;
    first--;
  }
  return lines.slice(first);
}
