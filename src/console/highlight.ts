import type { ConsoleLine, Span } from './console-screen.ts';

/** The line with inverse toggled; a blank line stays visible. */
export function inverted(line: ConsoleLine): ConsoleLine {
  if (line.length === 0) return [{ text: ' ', inverse: true }];
  return line.map(flip);
}

/** The line with each occurrence of a text inverse, ignoring case, even if the style changes within it. */
export function highlighted(line: ConsoleLine, text: string): ConsoleLine {
  const sought = text.toLowerCase();
  const whole = line.map(span => span.text).join('');
  const found = text === '' ? [] : occurrences(whole.toLowerCase(), sought);
  if (found.length === 0) return line;
  let start = 0;
  return line.flatMap(span => {
    const pieces: Span[] = [];
    const end = start + span.text.length;
    let at = start;
    for (const hit of found) {
      const from = Math.max(at, hit);
      const to = Math.min(end, hit + sought.length);
      if (from >= to) continue;
      if (from > at) pieces.push({ ...span, text: whole.slice(at, from) });
      pieces.push(flip({ ...span, text: whole.slice(from, to) }));
      at = to;
    }
    if (at < end) pieces.push({ ...span, text: whole.slice(at, end) });
    start = end;
    return pieces;
  });
}

function flip({ inverse, ...span }: Span): Span {
  return inverse ? span : { ...span, inverse: true };
}

function occurrences(text: string, sought: string): number[] {
  const found: number[] = [];
  for (let at = text.indexOf(sought); at >= 0; at = text.indexOf(sought, at + sought.length)) found.push(at);
  return found;
}
