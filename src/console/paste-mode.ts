/** Sets or resets DEC private modes (`CSI ? Pm h`, `CSI ? Pm l`), or resets the terminal (RIS, `ESC c`). */
const MODES = /\x1b\[\?([0-9;]{0,64})([hl])|\x1bc/g;
/** The start of such a sequence at the end of a text. */
const BEGINNING = /\x1b(?:\[(?:\?[0-9;]{0,64})?)?$/;

/** Turns bracketed paste off. */
export const PASTE_MODE_OFF = '\x1b[?2004l';

/** Follows what a guest prints to a real terminal: whether the terminal marks pastes for it (DECSET 2004). */
export class PasteMode {
  #on = false;
  /** An incomplete sequence. */
  #rest = '';

  get on(): boolean {
    return this.#on;
  }

  printed(bytes: Uint8Array): void {
    const text = this.#rest + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    for (const [, modes, action] of text.matchAll(MODES)) {
      if (modes === undefined) this.#on = false;
      else if (modes.split(';').includes('2004')) this.#on = action === 'h';
    }
    this.#rest = BEGINNING.exec(text)?.[0] ?? '';
  }
}
