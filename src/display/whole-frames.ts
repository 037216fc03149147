/** Brackets of what a terminal is to show at once (synchronized output, DEC private mode 2026). */
const BEGIN = '\x1b[?2026h';
const END = '\x1b[?2026l';

/**
 * The same stream, to which a frame is one write. Ink writes the frame's brackets and the frame itself apart; over SSH each of
 * these would be a packet.
 */
export function inWholeFrames(stdout: NodeJS.WriteStream): NodeJS.WriteStream {
  let held: string | null = null;
  const write = (...[text, ...rest]: [text: string, ...rest: never[]]): boolean => {
    if (text === BEGIN) held ??= '';
    if (held === null) return stdout.write(text, ...rest);
    held += text;
    if (text !== END) return true;
    const frame = held;
    held = null;
    return stdout.write(frame);
  };
  return new Proxy(stdout, {
    get: (target, key) => {
      if (key === 'write') return write;
      const value = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
