import type { DialogLayer } from '../store/layers.ts';
import type { Size } from '../store/ui-slice.ts';
import { wrap } from '../text/width.ts';

const MAX_CELLS = 64;
/** Border and padding on both sides. */
export const DIALOG_FRAME_CELLS = 4;
/** Border, title, buttons, and the blank lines around the body. */
const FRAME_ROWS = 6;

/** The part of a dialog that fits over a screen of this size. */
export function dialogLines({ body }: Pick<DialogLayer, 'body'>, { columns, rows }: Size) {
  const cells = Math.max(1, Math.min(MAX_CELLS, columns - 2) - DIALOG_FRAME_CELLS);
  const lines = body.split('\n').flatMap(paragraph => indented(paragraph, cells));
  return { cells, lines, room: Math.min(lines.length, Math.max(1, rows - FRAME_ROWS)) };
}

/** A paragraph wrapped with its indentation. */
function indented(paragraph: string, cells: number): string[] {
  const text = paragraph.trimStart();
  const indent = paragraph.slice(0, paragraph.length - text.length);
  return wrap(text, cells - indent.length).map(line => indent + line);
}

/** The number of a text's lines that fit below its title. */
export function textRoom(rows: number): number {
  return Math.max(1, rows - 1);
}
