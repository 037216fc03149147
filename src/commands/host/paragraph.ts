import { wrap } from '../../text/width.ts';

/**
 * The text in lines of at most `cells`, `lead` before the first of them and `indent` before the others; one line
 * where nothing limits it.
 */
export function paragraph(text: string, cells: number, indent = '', lead = ''): string[] {
  if (!Number.isFinite(cells)) return [lead + text];
  const room = cells - Math.max(indent.length, lead.length);
  return wrap(text, Math.max(20, room)).map((line, index) => (index === 0 ? lead : indent) + line);
}
