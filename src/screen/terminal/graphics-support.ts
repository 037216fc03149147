import type { PixelSize } from '../picture/scale.ts';
import type { PictureProtocol } from './pictures.ts';
import type { TerminalReply } from './terminal-replies.ts';

/** The extension of DA1 for sixel graphics (VT340). */
const SIXEL = 4;
/** Pixels: a terminal with larger cells than that is not to be believed. */
const LARGEST_CELL = 256;

/** What a terminal has said about its graphics. */
export class GraphicsSupport {
  #hasGraphics = false;
  #hasSixel = false;
  #cell: PixelSize | null = null;

  /** Pixels of a character cell; null: not known. */
  get cell(): PixelSize | null {
    return this.#cell;
  }

  /** The better protocol that it has; null: it shows cells only, or has not said how large they are. */
  get protocol(): PictureProtocol | null {
    if (this.#cell === null) return null;
    return this.#hasGraphics ? 'kitty' : this.#hasSixel ? 'sixel' : null;
  }

  replied(reply: TerminalReply): void {
    if (reply.kind === 'graphics') this.#hasGraphics = true;
    if (reply.kind === 'attributes') this.#hasSixel = reply.numbers.slice(1).includes(SIXEL);
    if (reply.kind !== 'cell') return;
    const { width, height } = reply;
    if (isSide(width) && isSide(height)) this.#cell = { width, height };
  }
}

function isSide(pixels: number): boolean {
  return pixels > 0 && pixels <= LARGEST_CELL;
}
