import type { PixelSize } from '../picture/scale.ts';

/** The image that `GRAPHICS_QUERY` asks about. */
const QUERIED_IMAGE = 31;

/** What a terminal reports of itself when asked. */
export type TerminalReply =
  /** Primary device attributes (DA1). */
  | { readonly kind: 'attributes'; readonly numbers: readonly number[] }
  /** The kitty keyboard protocol is supported. */
  | { readonly kind: 'keyboard' }
  /** Kitty's graphics protocol is supported. */
  | { readonly kind: 'graphics' }
  /** Pixels of a character cell. */
  | ({ readonly kind: 'cell' } & PixelSize);

/** Asks for the pixels of a character cell (xterm control sequences, "window manipulation"). */
export const CELL_QUERY = '\x1b[16t';
/** Asks for the kitty keyboard protocol and the size of a cell, and ends with what every terminal answers. */
export const TERMINAL_QUERY = `\x1b[?u${CELL_QUERY}\x1b[c`;
/** Asked only of terminals that have the keyboard protocol: others might print it. */
export const GRAPHICS_QUERY = `\x1b_Gi=${QUERIED_IMAGE},s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\`;

const CONTROL_SEQUENCE = /^\x1b\[([<=>?]?)([\d;:]*)([A-Za-z])$/;
const STRING = /^\x1b_([^\x07\x1b]*)(?:\x07|\x1b\\)$/;

/** The reply that a whole sequence of a terminal's input is; null: it is none that is known. */
export function terminalReply(sequence: string): TerminalReply | null {
  const [, mark = '', parameters = '', final = ''] = CONTROL_SEQUENCE.exec(sequence) ?? [];
  if (final !== '') return sequenceReply(mark, parameters, final);
  const [, text = ''] = STRING.exec(sequence) ?? [];
  return new RegExp(`^Gi=${QUERIED_IMAGE}[,;].*OK`).test(text) ? { kind: 'graphics' } : null;
}

function sequenceReply(mark: string, parameters: string, final: string): TerminalReply | null {
  const numbers = parameters.split(/[;:]/).map(Number);
  if (mark === '?' && final === 'c') return { kind: 'attributes', numbers };
  if (mark === '?' && final === 'u') return { kind: 'keyboard' };
  const [kind, height = 0, width = 0] = numbers;
  return mark === '' && final === 't' && kind === 6 ? { kind: 'cell', width, height } : null;
}
