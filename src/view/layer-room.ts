import type { DialogLayer } from '../store/layers.ts';
import type { Size } from '../store/ui-slice.ts';
import { wrap } from '../text/width.ts';

const MAX_CELLS = 64;
/** Border and padding on both sides. */
export const DIALOG_FRAME_CELLS = 4;
/** Border, title, buttons, and a blank line after the one and before the other. */
const FRAME_ROWS = 6;

/** What fits into a dialog over a screen of this size. */
export function dialogLines({ body }: Pick<DialogLayer, 'body'>, { columns, rows }: Size) {
  const cells = Math.max(1, Math.min(MAX_CELLS, columns - 2) - DIALOG_FRAME_CELLS);
  const lines = body.split('\n').flatMap(paragraph => indented(paragraph, cells));
  return { cells, lines, room: Math.min(lines.length, Math.max(1, rows - FRAME_ROWS)) };
}

/** Lines of a paragraph, all of them as far in as it is. */
function indented(paragraph: string, cells: number): string[] {
  const text = paragraph.trimStart();
  const indent = paragraph.slice(0, paragraph.length - text.length);
  return wrap(text, cells - indent.length).map(line => indent + line);
}

/** Lines of a text that can be read at once below its title. */
export function textRoom(rows: number): number {
  return Math.max(1, rows - 1);
}
