import { PLAIN, PLAIN_STYLED } from '../../text/graphemes.ts';

/** One character of a frame, as Ink keeps it. */
type Cell = { type: string; value: string; fullWidth: boolean; styles: unknown[] };
type Clip = {
  readonly x1?: number | undefined;
  readonly x2?: number | undefined;
  readonly y1?: number | undefined;
  readonly y2?: number | undefined;
};
type Transformer = (line: string, index: number) => string;
type Write = {
  readonly type: 'write';
  readonly x: number;
  readonly y: number;
  readonly text: string;
  readonly transformers: readonly Transformer[];
};
type Operation = Write | { readonly type: 'clip'; readonly clip: Clip } | { readonly type: 'unclip' };

/** Ink replaces the cells of a line and doesn't change them. */
const BLANK: Cell = { type: 'char', value: ' ', fullWidth: false, styles: [] };

/** The parts of Ink's Output (ink/build/output.js) in use: the texts of one frame, which `get` combines. */
export interface InkOutput {
  readonly width: number;
  readonly height: number;
  readonly operations: readonly Operation[];
  readonly caches: { getStyledChars(line: string): readonly Cell[] };
  /** Writes a text to existing lines; missing lines are skipped. */
  applyWriteOperation(lines: (Cell[] | undefined)[], write: Write, clip: Clip | undefined): void;
  get(): { output: string; height: number };
}
type OutputClass = new (options: { width: number; height: number }) => InkOutput;

/** Functions of Ink that `get` needs. */
export type InkParts = {
  readonly styledCharsToString: (cells: readonly Cell[]) => string;
  readonly intersectClips: (outer: Clip | undefined, inner: Clip) => Clip;
};

/**
 * A text of the frame with its clip, and the lines in which it is visible: from `top` up to, not including, `bottom`.
 */
type Placed = {
  readonly write: Write;
  readonly clip: Clip | undefined;
  readonly top: number;
  readonly bottom: number;
};

/**
 * Ink recomputes every cell of each frame, although most lines don't change. Here, a line with the same contents is
 * reused, so that a frame only costs what changed.
 * @returns a replacement for Ink's class; it requires transformers that only depend on their arguments
 */
export function cacheLines(
  Output: OutputClass,
  { styledCharsToString, intersectClips }: InkParts,
): OutputClass {
  const numberOf = numbering<Transformer>();
  let known = new Map<string, string>();
  let knownWidth = 0;

  return class LineCachedOutput extends Output {
    override get() {
      if (this.width !== knownWidth) known = new Map();
      knownWidth = this.width;
      const placed = this.#place();
      const keys = this.#keys(placed);
      const cells = keys.map(key => (known.has(key) ? undefined : new Array<Cell>(this.width).fill(BLANK)));
      for (const { write, clip, top, bottom } of placed) {
        if (!cells.slice(top, bottom).some(Boolean)) continue;
        if (!this.#writePlain(cells[write.y], write, clip)) this.applyWriteOperation(cells, write, clip);
      }
      const lines = cells.map((line, y) => (line ? toText(line) : known.get(keys[y]!)!));
      known = new Map(lines.map((line, y) => [keys[y]!, line]));
      return { output: lines.join('\n'), height: lines.length };
    }

    /**
     * Most texts are one line of single-cell characters that fit, and need no truncation by Ink.
     * @returns whether this is such a text, and was written
     */
    #writePlain(line: Cell[] | undefined, { x, text, transformers }: Write, clip: Clip | undefined): boolean {
      if (line === undefined || x < (clip?.x1 ?? 0) || !PLAIN_STYLED.test(text)) return false;
      const styled = this.#transformed(text, transformers);
      const characters = this.caches.getStyledChars(styled);
      const end = x + characters.length;
      if (end > (clip?.x2 ?? this.width) || isHalf(line[x]) || isHalf(line[end])) return false;
      for (const [index, character] of characters.entries()) line[x + index] = character;
      return true;
    }

    #transformed(text: string, transformers: readonly Transformer[]): string {
      const transformed = (text: string) =>
        transformers.reduce((text, transform) => transform(text, 0), text);
      const result = transformed(text);
      // Most leave it as it is; the others expect a text's own styles as Ink writes them.
      if (result === text || PLAIN.test(text)) return result;
      return transformed(styledCharsToString(this.caches.getStyledChars(text)));
    }

    #place(): Placed[] {
      const placed: Placed[] = [];
      const clips: Clip[] = [];
      for (const operation of this.operations) {
        if (operation.type === 'clip') clips.push(intersectClips(clips.at(-1), operation.clip));
        else if (operation.type === 'unclip') clips.pop();
        else placed.push({ write: operation, clip: clips.at(-1), ...this.#extent(operation, clips.at(-1)) });
      }
      return placed;
    }

    #extent({ y, text }: Write, clip: Clip | undefined): { top: number; bottom: number } {
      return {
        top: Math.max(0, y, clip?.y1 ?? 0),
        bottom: Math.min(this.height, y + text.split('\n').length, clip?.y2 ?? this.height),
      };
    }

    /** For each line of the frame, everything that its text depends on. */
    #keys(placed: readonly Placed[]): string[] {
      const keys = new Array<string>(this.height).fill('');
      for (const { write, clip, top, bottom } of placed) {
        const { x, y, text, transformers } = write;
        const numbers = transformers.map(numberOf).join();
        const key = `${x} ${clip?.x1} ${clip?.x2} ${numbers} ${text.length} ${text}`;
        for (let row = top; row < bottom; row++) keys[row] += `${row - y} ${key}`;
      }
      return keys;
    }
  };

  function toText(line: readonly Cell[]): string {
    // There are holes next to a wide character that crosses the edge.
    return styledCharsToString(line.filter(cell => cell !== undefined)).trimEnd();
  }
}

/** The second cell of a wide character. */
function isHalf(cell: Cell | undefined): boolean {
  return cell?.value === '';
}

/** Assigns a unique number to each thing. */
function numbering<Thing extends WeakKey>(): (thing: Thing) => number {
  const numbers = new WeakMap<Thing, number>();
  let last = 0;
  return thing => {
    const known = numbers.get(thing);
    if (known !== undefined) return known;
    numbers.set(thing, ++last);
    return last;
  };
}
