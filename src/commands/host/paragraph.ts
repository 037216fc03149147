import { wrap } from '../../text/width.ts';

/**
 * Wraps a text to `cells`, with `lead` before the first line and `indent` before the others. A single line if `cells` is
 * infinite.
 */
export function paragraph(text: string, cells: number, indent = '', lead = ''): string[] {
  if (!Number.isFinite(cells)) return [lead + text];
  const room = cells - Math.max(indent.length, lead.length);
  return wrap(text, Math.max(20, room)).map((line, index) => (index === 0 ? lead : indent) + line);
}
