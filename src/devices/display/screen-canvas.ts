import type { ScreenSeen, ScreenUpdate, TextFont } from './screen-frame.ts';
import {
  isPossibleSize,
  MAX_CELLS,
  type TextHead,
  type TextLooks,
  TILE,
  tileArea,
  tileColumns,
  tileCount,
  UpdateWriter,
} from './screen-update.ts';

/** The largest part of a picture that is sent at once. */
const MOST_BYTES = 2 ** 20;
/** Beyond all parts of a version. */
const ALL_PARTS = 2 ** 31 - 1;

/** A text screen as a device shows it now. */
export type ShownText = TextHead & { readonly cells: Uint16Array } & TextLooks;

type Text = {
  readonly kind: 'text';
  head: TextHead;
  readonly cells: Uint16Array;
  looks: TextLooks;
  headVersion: number;
  looksVersion: number;
  /** By row. */
  readonly versions: Float64Array;
};
type Graphics = {
  readonly kind: 'graphics';
  readonly width: number;
  readonly height: number;
  /** 0xRRGGBB */
  readonly pixels: Uint32Array;
  /** By tile. */
  readonly versions: Float64Array;
};
type Off = { readonly kind: 'off' };

/**
 * The contents of a screen, with the version in which each of its parts changed last, so that any number of watchers
 * get what they have not seen. A device draws all of it, or what has changed; redrawing a part identically is no
 * change.
 */
export class ScreenCanvas {
  /** Random, so that a watcher of another canvas, in whatever process, starts over. */
  readonly #epoch = 1 + Math.floor(Math.random() * (2 ** 48 - 1));
  #shown: Off | Text | Graphics = { kind: 'off' };
  /** The version of the parts that are being drawn. */
  #version = 1;
  /** The version in which the present mode began. */
  #since = 1;
  #hasChanged = true;

  /** The number of times it has changed. */
  get changes(): number {
    return this.#version - 1;
  }

  off(): void {
    if (this.#shown.kind === 'off') return;
    this.#show({ kind: 'off' });
  }

  text(text: ShownText): void {
    const { columns, rows, cursor, blinks, palette, font, cells } = text;
    if (columns * rows === 0 || columns * rows > MAX_CELLS) {
      this.off();
      return;
    }
    const head = { columns, rows, cursor, blinks };
    const shown = this.#shown;
    if (shown.kind !== 'text' || shown.head.columns !== columns || shown.head.rows !== rows) {
      this.#show({
        kind: 'text',
        head,
        cells: cells.slice(0, columns * rows),
        looks: copyOf(text),
        headVersion: this.#version,
        looksVersion: this.#version,
        versions: new Float64Array(rows).fill(this.#version),
      });
      return;
    }
    if (!isSameHead(shown.head, head)) {
      shown.headVersion = this.#touched();
      shown.head = head;
    }
    if (!isSameLooks(shown.looks, { palette, font })) {
      shown.looksVersion = this.#touched();
      shown.looks = copyOf(text);
    }
    for (let row = 0; row < rows; row++) {
      const from = row * columns;
      const end = from + columns;
      let at = from;
      while (at < end && shown.cells[at] === cells[at]) at++;
      if (at === end) continue;
      for (; at < end; at++) shown.cells[at] = cells[at]!;
      shown.versions[row] = this.#touched();
    }
  }

  /**
   * From here on it shows a picture of this size. @returns whether this is another mode, so that all of it must be
   * drawn
   */
  graphics(width: number, height: number): boolean {
    const shown = this.#shown;
    if (shown.kind === 'graphics' && shown.width === width && shown.height === height) return false;
    if (!isPossibleSize(width, height)) {
      this.off();
      return false;
    }
    const versions = new Float64Array(tileCount(width, height)).fill(this.#version);
    this.#show({ kind: 'graphics', width, height, pixels: new Uint32Array(width * height), versions });
    return true;
  }

  /** Draws a part of a line of a picture. @param line `width` pixels from `x` on, 0xRRGGBB */
  line(x: number, y: number, line: Uint32Array, width: number): void {
    const shown = this.#shown;
    if (shown.kind !== 'graphics' || y >= shown.height) return;
    const { pixels, versions } = shown;
    const firstTile = Math.floor(y / TILE.height) * tileColumns(shown.width);
    const from = y * shown.width;
    const end = Math.min(x + width, shown.width);
    for (let at = x; at < end; ) {
      const tileEnd = Math.min(at - (at % TILE.width) + TILE.width, end);
      const tile = firstTile + Math.floor(at / TILE.width);
      while (at < tileEnd && pixels[from + at] === line[at - x]) at++;
      if (at === tileEnd) continue;
      for (; at < tileEnd; at++) pixels[from + at] = line[at - x]!;
      versions[tile] = this.#touched();
    }
  }

  /** Publishes what has been drawn. */
  finish(): void {
    if (this.#hasChanged) this.#version++;
    this.#hasChanged = false;
  }

  /** What is not in `seen`; null if nothing is new. */
  updateSince(seen: ScreenSeen): ScreenUpdate | null {
    const since = seen.epoch === this.#epoch ? seen : { epoch: this.#epoch, version: 0, part: 0 };
    const last = this.#version - 1;
    if (since.version > last || (since.version === last && since.part === ALL_PARTS)) return null;
    const shown = this.#shown;
    const writer = new UpdateWriter();
    const all = { epoch: this.#epoch, version: last, part: ALL_PARTS };
    if (shown.kind === 'graphics') return this.#newTiles(shown, since, writer);
    if (shown.kind === 'off') writer.off();
    else this.#newRows(shown, this.#isBefore(since) ? 0 : since.version, writer);
    return { seen: all, update: writer.bytes };
  }

  #newRows({ head, looks, looksVersion, cells, versions }: Text, since: number, writer: UpdateWriter): void {
    writer.text(head, looksVersion > since ? looks : null);
    for (let row = 0; row < head.rows; row++) {
      if (versions[row]! > since)
        writer.row(row, cells.subarray(row * head.columns, (row + 1) * head.columns));
    }
  }

  #newTiles(shown: Graphics, since: ScreenSeen, writer: UpdateWriter): ScreenUpdate {
    const { width, height, pixels, versions } = shown;
    const isNew = this.#isBefore(since);
    const tiles: number[] = [];
    for (let tile = 0; tile < versions.length; tile++) {
      const version = versions[tile]!;
      if (isNew || version > since.version || (version === since.version && tile >= since.part))
        tiles.push(tile);
    }
    tiles.sort((a, b) => versions[a]! - versions[b]! || a - b);
    writer.graphics(width, height);
    for (const [index, tile] of tiles.entries()) {
      writer.tile(tile, pixels, width, tileArea(tile, width, height));
      if (writer.length < MOST_BYTES || index + 1 === tiles.length) continue;
      const seen = { epoch: this.#epoch, version: versions[tile]!, part: tile + 1 };
      return { seen, update: writer.bytes };
    }
    return {
      seen: { epoch: this.#epoch, version: this.#version - 1, part: ALL_PARTS },
      update: writer.bytes,
    };
  }

  /** Whether a watcher has seen nothing of the present mode. */
  #isBefore(seen: ScreenSeen): boolean {
    return seen.version < this.#since;
  }

  #show(shown: Off | Text | Graphics): void {
    this.#since = this.#touched();
    this.#shown = shown;
  }

  #touched(): number {
    this.#hasChanged = true;
    return this.#version;
  }
}

function copyOf({ palette, font }: TextLooks): TextLooks {
  const { glyphs, second } = font;
  return {
    palette: palette.slice(),
    font: { ...font, glyphs: glyphs.slice(), second: second?.slice() ?? null },
  };
}

function isSameHead(a: TextHead, b: TextHead): boolean {
  const [one, other] = [a.cursor, b.cursor];
  if (a.blinks !== b.blinks || (one === null) !== (other === null)) return false;
  return (
    one === null ||
    (one.column === other!.column &&
      one.row === other!.row &&
      one.start === other!.start &&
      one.end === other!.end)
  );
}

function isSameLooks(a: TextLooks, b: TextLooks): boolean {
  return isSame(a.palette, b.palette) && isSameFont(a.font, b.font);
}

function isSameFont(a: TextFont, b: TextFont): boolean {
  if (a.width !== b.width || a.height !== b.height || !isSame(a.glyphs, b.glyphs)) return false;
  return a.second === null ? b.second === null : b.second !== null && isSame(a.second, b.second);
}

function isSame(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}
