import { inflateSync } from 'node:zlib';

type Image = {
  readonly row: number;
  readonly column: number;
  readonly columns: number;
  readonly rows: number;
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
};

const TOKEN =
  /\x1b\[([<=>?]?)([\d;]*)([@-~])|\x1bP([\d;]*)q([^\x1b]*)\x1b\\|\x1b_G([^;\x1b]*);?([^\x1b]*)\x1b\\|\x1b([78])|\n|\r|[^\x1b\r\n]/gu;

/** A terminal with sixels and kitty graphics: it only tracks which pictures are visible where. */
export class PictureTerminal {
  readonly columns: number;
  readonly rows: number;
  readonly cell: { readonly width: number; readonly height: number };
  /** Bytes of pictures written. */
  pictureBytes = 0;
  /** Pixels of sixels, 0xRRGGBB; -1 in cells without any. */
  readonly #sixels: Int32Array;
  readonly #images = new Map<string, Image>();
  #row = 0;
  #column = 0;
  #saved = [0, 0];
  #transfer: { readonly keys: Map<string, string>; data: string } | null = null;

  constructor(columns: number, rows: number, cell = { width: 8, height: 16 }) {
    this.columns = columns;
    this.rows = rows;
    this.cell = cell;
    this.#sixels = new Int32Array(columns * cell.width * rows * cell.height).fill(-1);
  }

  /** How many images of kitty's protocol are shown. */
  get images(): number {
    return this.#images.size;
  }

  write(text: string): void {
    for (const token of text.matchAll(TOKEN)) {
      const [all, mark, parameters, final, , sixels, keys, data, cursor] = token;
      if (sixels !== undefined) this.#draw(sixels, all.length);
      else if (keys !== undefined) this.#kitty(keys, data!, all.length);
      else if (final !== undefined) this.#sequence(mark!, parameters!, final);
      else if (cursor === '7') this.#saved = [this.#row, this.#column];
      else if (cursor === '8') [this.#row, this.#column] = this.#saved as [number, number];
      else if (all === '\n') this.#move(1);
      else if (all === '\r') this.#column = 0;
      else this.#print();
    }
  }

  /** The color of a picture at this pixel, 0xRRGGBB; null if there is no picture. */
  pixel(x: number, y: number): number | null {
    const { width, height } = this.cell;
    for (const image of this.#images.values()) {
      const right = Math.floor(((x - image.column * width) * image.width) / (image.columns * width));
      const down = Math.floor(((y - image.row * height) * image.height) / (image.rows * height));
      if (right < 0 || down < 0 || right >= image.width || down >= image.height) continue;
      const at = 3 * (down * image.width + right);
      return (image.pixels[at]! << 16) | (image.pixels[at + 1]! << 8) | image.pixels[at + 2]!;
    }
    const pixel = this.#sixels[y * this.columns * width + x]!;
    return pixel < 0 ? null : pixel;
  }

  /** The cells in which a picture is visible, one line of text per row, with `#` for those. */
  get seen(): string[] {
    const { width, height } = this.cell;
    return Array.from({ length: this.rows }, (_, row) =>
      Array.from({ length: this.columns }, (_, column) =>
        this.pixel(column * width + width / 2, row * height + height / 2) === null ? ' ' : '#',
      )
        .join('')
        .trimEnd(),
    );
  }

  #sequence(mark: string, parameters: string, final: string): void {
    const [first = 0, second = 0] = parameters.split(';').map(Number);
    const count = Math.max(1, first);
    if (mark === '?' && parameters === '1049') this.#clear(0, this.rows);
    if (mark !== '') return;
    if (final === 'H') [this.#row, this.#column] = [count - 1, Math.max(1, second) - 1];
    if (final === 'A' || final === 'F') this.#move(-count);
    if (final === 'B' || final === 'E') this.#move(count);
    if (final === 'E' || final === 'F') this.#column = 0;
    if (final === 'G') this.#column = count - 1;
    if (final === 'C') this.#column += count;
    if (final === 'D') this.#column = Math.max(0, this.#column - count);
    if (final === 'K') this.#erase(this.#row, first === 0 ? this.#column : 0, this.columns);
    if (final === 'J') {
      if (first === 0) this.#erase(this.#row, this.#column, this.columns);
      this.#clear(first === 0 ? this.#row + 1 : 0, this.rows);
    }
  }

  #move(lines: number): void {
    this.#row = Math.max(0, Math.min(this.rows - 1, this.#row + lines));
  }

  #print(): void {
    this.#erase(this.#row, this.#column, this.#column + 1);
    this.#column = Math.min(this.columns, this.#column + 1);
  }

  /** Cells that are written or erased lose their sixels; images stay unless the entire terminal is erased. */
  #erase(row: number, from: number, to: number): void {
    const { width, height } = this.cell;
    for (let y = row * height; y < (row + 1) * height; y++) {
      const line = y * this.columns * width;
      this.#sixels.fill(-1, line + from * width, line + Math.min(to, this.columns) * width);
    }
  }

  #clear(from: number, to: number): void {
    for (let row = from; row < to; row++) this.#erase(row, 0, this.columns);
    if (from === 0) this.#images.clear();
  }

  #draw(data: string, bytes: number): void {
    this.pictureBytes += bytes;
    const { width, height } = this.cell;
    const colors = new Map<number, number>();
    let [x, band, color] = [0, 0, 0];
    for (const [all, number, more, count, character] of data.matchAll(
      /"[\d;]*|#(\d+)((?:;\d+)*)|(?:!(\d+))?([?-~])|[$-]/g,
    )) {
      if (number !== undefined) {
        color = Number(number);
        const [, kind, ...levels] = more!.split(';').map(Number);
        if (kind === 2)
          colors.set(
            color,
            levels.reduce((sum, level) => sum * 256 + Math.round(level * 2.55), 0),
          );
      } else if (character !== undefined) {
        const mask = character.charCodeAt(0) - 0x3f;
        for (let repeat = Number(count ?? 1); repeat > 0; repeat--, x++) {
          for (let bit = 0; bit < 6; bit++) {
            const y = this.#row * height + 6 * band + bit;
            const at = y * this.columns * width + this.#column * width + x;
            if (mask & (1 << bit)) this.#sixels[at] = colors.get(color)!;
          }
        }
      } else if (all === '$') x = 0;
      else if (all === '-') [x, band] = [0, band + 1];
    }
  }

  #kitty(keys: string, data: string, bytes: number): void {
    const given = new Map(keys.split(',').map(pair => pair.split('=') as [string, string]));
    if (given.get('a') === 'q') return;
    this.pictureBytes += bytes;
    if (given.get('a') === 'd') {
      this.#images.delete(given.get('i')!);
      return;
    }
    this.#transfer ??= { keys: given, data: '' };
    this.#transfer.data += data;
    if (given.get('m') === '1') return;
    const { keys: image, data: whole } = this.#transfer;
    this.#transfer = null;
    const number = (key: string) => Number(image.get(key));
    this.#images.set(image.get('i')!, {
      row: this.#row,
      column: this.#column,
      columns: number('c'),
      rows: number('r'),
      width: number('s'),
      height: number('v'),
      pixels: inflateSync(Buffer.from(whole, 'base64')),
    });
  }
}
