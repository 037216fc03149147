/** Known terminal limits: how much hterm and tmux accept per copy, before encoding. */
export const MAX_COPIED_BYTES = 74_994;

/** The control sequence that copies a text to the user's clipboard (xterm control sequences, OSC 52). */
export function clipboardSequence(text: string): string {
  return `\x1b]52;c;${Buffer.from(text).toString('base64')}\x07`;
}

/** The last lines, as many as fit in one copy. */
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
