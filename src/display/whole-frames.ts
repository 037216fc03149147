/** Brackets of an atomic update (synchronized output, DEC private mode 2026). */
const BEGIN = '\x1b[?2026h';
const END = '\x1b[?2026l';

/**
 * What no frame of ours contains: control strings (OSC, DCS and the like; ECMA-48 §8.3), C1 controls, and marks that
 * reorder text. Ink forwards some of those found in a text.
 */
const FOREIGN =
  /\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[\u0080-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** A frame without anything that Ink didn't draw. */
export function withoutForeign(frame: string): string {
  return frame.replace(FOREIGN, '');
}

/**
 * The same stream, with one write per frame. Ink writes the frame and its brackets separately; over SSH each of these
 * would be a packet.
 * @param written is called with each frame, after it was written
 */
export function inWholeFrames(
  stdout: NodeJS.WriteStream,
  written: (text: string) => void = () => {},
): NodeJS.WriteStream {
  let held: string | null = null;
  const write = (...[text, ...rest]: [text: string, ...rest: never[]]): boolean => {
    if (text === BEGIN) held ??= '';
    if (held === null) {
      const clean = typeof text === 'string' ? withoutForeign(text) : text;
      const isFlushed = stdout.write(clean, ...rest);
      if (typeof clean === 'string') written(clean);
      return isFlushed;
    }
    held += text;
    if (text !== END) return true;
    const frame = withoutForeign(held);
    held = null;
    const isFlushed = stdout.write(frame);
    written(frame);
    return isFlushed;
  };
  return new Proxy(stdout, {
    get: (target, key) => {
      if (key === 'write') return write;
      const value = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
