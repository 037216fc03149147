/** The number of colors that a terminal supports. */
export type ColorDepth = 'none' | '16' | '256' | 'true';

/** The common default palette of terminals, by number: the PC's colors, in ANSI order. */
const ANSI = [
  ...[0x000000, 0xaa0000, 0x00aa00, 0xaa5500, 0x0000aa, 0xaa00aa, 0x00aaaa, 0xaaaaaa],
  ...[0x555555, 0xff5555, 0x55ff55, 0xffff55, 0x5555ff, 0xff55ff, 0x55ffff, 0xffffff],
];
/** Levels of the color cube in colors 16-231 of 256. */
const CUBE = [0, 95, 135, 175, 215, 255];
/** The size of the cache, as guests may show any number of colors. */
const CACHE_MAX = 65_536;

/** A terminal's color depth, from its environment. */
export function terminalDepth(env: NodeJS.ProcessEnv): ColorDepth {
  if (env.NO_COLOR || env.TERM === 'dumb' || env.FORCE_COLOR === '0') return 'none';
  if (env.COLORTERM === 'truecolor' || env.COLORTERM === '24bit' || env.FORCE_COLOR === '3') return 'true';
  if (/-direct$/.test(env.TERM ?? '')) return 'true';
  return /256/.test(env.TERM ?? '') || env.FORCE_COLOR === '2' ? '256' : '16';
}

/** Finds a terminal's nearest colors to a guest's. */
export class Palette {
  readonly #depth: ColorDepth;
  readonly #cache = new Map<number, number>();

  constructor(depth: ColorDepth) {
    this.#depth = depth;
  }

  /** The SGR parameters that select a color (ECMA-48 §8.3.117). @param color 0xRRGGBB, or DEFAULT_COLOR */
  parameters(color: number, ground: 'foreground' | 'background'): string {
    const base = ground === 'foreground' ? 30 : 40;
    if (color < 0 || this.#depth === 'none') return String(base + 9);
    if (this.#depth === 'true') return `${base + 8};2;${color >> 16};${(color >> 8) & 0xff};${color & 0xff}`;
    const number = this.number(color);
    if (this.#depth === '256') return `${base + 8};5;${number}`;
    return String(number < 8 ? base + number : base + 60 + number - 8);
  }

  /** The number of the nearest color, of 16 or of 256. */
  number(color: number): number {
    const known = this.#cache.get(color);
    if (known !== undefined) return known;
    const number = this.#depth === '16' ? nearest(color, ANSI) : of256(color);
    if (this.#cache.size >= CACHE_MAX) this.#cache.clear();
    this.#cache.set(color, number);
    return number;
  }
}

function nearest(color: number, palette: readonly number[]): number {
  let best = 0;
  for (let index = 1; index < palette.length; index++) {
    if (distance(color, palette[index]!) < distance(color, palette[best]!)) best = index;
  }
  return best;
}

function of256(color: number): number {
  const level = (value: number) =>
    CUBE.findIndex((each, index) => value <= (each + (CUBE[index + 1] ?? 511)) / 2);
  const [red, green, blue] = [color >> 16, (color >> 8) & 0xff, color & 0xff].map(level) as [
    number,
    number,
    number,
  ];
  const cube = (CUBE[red]! << 16) | (CUBE[green]! << 8) | CUBE[blue]!;
  // Grays 8, 18 ... 238 have the numbers 232-255.
  const average = ((color >> 16) + ((color >> 8) & 0xff) + (color & 0xff)) / 3;
  const gray = Math.max(0, Math.min(23, Math.round((average - 8) / 10)));
  const shade = 0x010101 * (8 + 10 * gray);
  if (distance(color, shade) < distance(color, cube)) return 232 + gray;
  return 16 + 36 * red + 6 * green + blue;
}

function distance(a: number, b: number): number {
  const red = (a >> 16) - (b >> 16);
  const green = ((a >> 8) & 0xff) - ((b >> 8) & 0xff);
  const blue = (a & 0xff) - (b & 0xff);
  return 3 * red * red + 6 * green * green + blue * blue;
}
