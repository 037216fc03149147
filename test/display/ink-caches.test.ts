import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { build, type Plugin } from 'esbuild';
import type { ReactNode } from 'react';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { inkCaches } from '../../scripts/ink-caches.mjs';
import { projectRoot } from '../../src/project-root.ts';
import { Random } from '../support/random.ts';

type Ink = Pick<typeof import('react'), 'createElement' | 'memo' | 'useSyncExternalStore'> &
  Pick<typeof import('ink'), 'Box' | 'Text' | 'render'> & {
    lineUpdate(previous: string, next: string, columns: number): string;
    stringWidth(text: string): number;
  };

const folder = mkdtempSync(join(projectRoot(), 'dist/ink-caches-'));
let asItIs: Ink;
let asBundled: Ink;

beforeAll(async () => {
  // Ink decides on its colors while it is loaded.
  vi.stubEnv('FORCE_COLOR', '3');
  asItIs = await bundled('as-it-is', [withoutDevtools]);
  asBundled = await bundled('as-bundled', [inkCaches]);
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

test.each([1, 2, 3, 4, 5, 6])('the bundled Ink draws the same frames as Ink (%i)', async seed => {
  const expected = new Player(asItIs, seed);
  const drawn = new Player(asBundled, seed);
  for (let step = 0; step < 1000; step++) {
    expected.step();
    drawn.step();
    await setImmediate();
    expect(drawn.frame, `step ${step}`).toBe(expected.frame);
  }
  expect(expected.frames.join()).toContain('\x1b[38;2;16;32;48m');
  expect(new Set(expected.frames).size).toBeGreaterThan(60);
  expected.close();
  drawn.close();
});

/** What a line of a screen is made of: characters of one cell, and each kind of others. */
const PIECES = [
  ...[
    'a',
    '0000:3b:00.0',
    ' ',
    '─',
    '…',
    '▾',
    '▸',
    '▲',
    '▼',
    '·',
    '█',
    '│',
    '\x1b[1m',
    '\x1b[22m',
    '\x1b[7m',
  ],
  ...['漢', 'é', 'e\u0301', '\u0301', '👩‍👩‍👧', '▶\ufe0f', '▸\ufe0f', '\u200b', '\t', 'ｶﾞ'],
];

test.each([1, 2, 3])('lines are measured and updated as by Ink (%i)', seed => {
  const random = new Random(seed);
  // Some have no character that takes long to measure.
  const pieces = (most: number) =>
    Array.from({ length: random.below(12) }, () => PIECES[random.below(most)]!).join('');
  let shortened = 0;
  for (let round = 0; round < 5000; round++) {
    const most = random.pick([12, 15, PIECES.length]);
    const head = pieces(most);
    const [previous, next] = [head + pieces(most), head + pieces(most)];
    const expected = asItIs.lineUpdate(previous, next, 30);
    expect(asBundled.lineUpdate(previous, next, 30), JSON.stringify([previous, next])).toBe(expected);
    expect(asBundled.stringWidth(next), JSON.stringify(next)).toBe(asItIs.stringWidth(next));
    if (/[^\x00-\x7f]/.test(expected) && !expected.includes(head)) shortened++;
  }
  expect(shortened).toBeGreaterThan(100);
});

/** Ink's own way to them is closed in production, and they are no dependency. */
const withoutDevtools: Plugin = {
  name: 'without-devtools',
  setup: ({ onLoad }) => onLoad({ filter: /\/ink\/build\/devtools\.js$/ }, () => ({ contents: '' })),
};

async function bundled(name: string, plugins: Plugin[]): Promise<Ink> {
  const outfile = join(folder, `${name}.mjs`);
  await build({
    stdin: {
      contents:
        "export { Box, Text, render } from 'ink'; export { createElement, memo, useSyncExternalStore } from 'react';" +
        "export { default as lineUpdate } from './node_modules/ink/build/line-update.js';" +
        "export { default as stringWidth } from 'string-width';",
      resolveDir: projectRoot(),
    },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    plugins,
    define: { 'process.env.NODE_ENV': '"production"', 'process.env.DEV': '"false"' },
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  return import(outfile);
}

const WIDTH = 40;
/** Equally long, but one wraps to two lines of `WIDTH` and the other to three. */
const WRAPPED = ['a longer text that has to be cut or wrapped', `a ${'x'.repeat(WIDTH - 1)} b`];
const TEXTS = [
  '',
  'running',
  // As long as that, or as this with a wide character.
  'stopped',
  '漢字 run',
  '\u200b',
  ...WRAPPED,
  '漢字 wide',
  'e\u0301 mark',
  'two\nlines',
  '\x1b[31mred\x1b[0m!',
  'a\tb',
  '👩‍👩‍👧 family',
  '\x1b[2Jno',
  '─│┌',
];
const WRAPS = ['wrap', 'truncate', 'truncate-middle', 'hard'] as const;
const COLORS = [undefined, 'red', 'cyan', '#102030'];

/** Rows as a screen has them, of which each step changes some. */
class Player {
  readonly frames: string[] = [];
  readonly #ink: Ink;
  readonly #line: ReturnType<typeof lineOf>;
  readonly #random: Random;
  readonly #picture: ReturnType<Ink['render']>;
  #rows: Row[];
  #offset = 0;
  #aside = 0;
  #columns = WIDTH;
  readonly #stdout: { columns: number };
  #overlay: Row | null = null;
  #steps = 0;
  #drawAnew: () => void = () => {};

  constructor(ink: Ink, seed: number) {
    this.#ink = ink;
    this.#line = lineOf(ink);
    this.#random = new Random(seed);
    this.#rows = Array.from({ length: 8 }, () => this.#row());
    const frames = new Writable({
      decodeStrings: false,
      write: (chunk: string, _, done) => {
        this.frames.push(chunk);
        done();
      },
    });
    this.#stdout = Object.assign(frames, { columns: WIDTH, rows: 12 });
    const Root = () => {
      ink.useSyncExternalStore(this.#subscribe, () => this.#steps);
      return this.#tree();
    };
    this.#picture = ink.render(ink.createElement(Root), {
      stdout: this.#stdout as unknown as NodeJS.WriteStream,
      debug: true,
      patchConsole: false,
      exitOnCtrlC: false,
    });
  }

  get frame(): string {
    return this.frames.at(-1)!;
  }

  step(): void {
    const at = this.#random.below(this.#rows.length);
    const changes: (() => void)[] = [
      () => (this.#rows[at] = { ...this.#rows[at]!, text: this.#random.pick(TEXTS) }),
      () => (this.#rows[at] = { ...this.#rows[at]!, color: this.#random.pick(COLORS) }),
      () => (this.#rows[at] = { ...this.#rows[at]!, wrap: this.#random.pick(WRAPS) }),
      () =>
        (this.#rows[at] = {
          ...this.#rows[at]!,
          inner: this.#random.pick(TEXTS),
          innerColor: this.#random.pick(COLORS),
        }),
      () =>
        (this.#rows[at] = {
          ...this.#rows[at]!,
          text: this.#random.pick(WRAPPED),
          inner: '',
          wrap: 'wrap',
        }),
      () => (this.#rows[at] = { ...this.#rows[at]!, hidden: !this.#rows[at]!.hidden }),
      () => (this.#rows = [...this.#rows.slice(1), this.#row()]),
      () => (this.#rows = this.#rows.toReversed()),
      () => (this.#rows = this.#rows.length > 3 ? this.#rows.toSpliced(at, 1) : [...this.#rows, this.#row()]),
      () => (this.#offset = this.#random.below(4)),
      () => (this.#aside = this.#random.below(6)),
      () => (this.#stdout.columns = WIDTH - this.#random.below(3)),
      () => (this.#columns = WIDTH - this.#random.below(20)),
      () => (this.#overlay = this.#overlay ? null : this.#row()),
    ];
    this.#random.pick(changes)();
    this.#steps++;
    this.#drawAnew();
  }

  /** As a store does: what it says is drawn before anything else happens. */
  readonly #subscribe = (drawAnew: () => void) => {
    this.#drawAnew = drawAnew;
    return () => {};
  };

  close(): void {
    this.#picture.unmount();
  }

  #row(): Row {
    return {
      key: this.#random.below(1 << 30),
      text: this.#random.pick(TEXTS),
      color: this.#random.pick(COLORS),
      inner: this.#random.pick(TEXTS),
      innerColor: this.#random.pick(COLORS),
      wrap: this.#random.pick(WRAPS),
      hidden: false,
    };
  }

  #tree(): ReactNode {
    const { createElement, Box } = this.#ink;
    return createElement(
      Box,
      { flexDirection: 'column', height: 12, overflow: 'hidden' },
      createElement(
        Box,
        {
          flexDirection: 'column',
          width: this.#columns,
          height: 8,
          overflow: 'hidden',
          contentOffsetY: this.#offset,
          contentOffsetX: this.#aside,
          marginLeft: this.#offset,
          flexShrink: 0,
        },
        ...this.#rows.map(row => this.#draw(row)),
      ),
      createElement(Box, { columnGap: 1 }, ...this.#rows.slice(0, 2).map(row => this.#draw(row))),
      this.#overlay &&
        createElement(
          Box,
          { position: 'absolute', top: 2, left: 5, borderStyle: 'round' },
          this.#draw(this.#overlay),
        ),
    );
  }

  #draw(row: Row): ReactNode {
    return this.#ink.createElement(this.#line, { key: row.key, row });
  }
}

/** A row that is the same as before is not rendered again, as on the screens. */
function lineOf({ createElement, memo, Box, Text }: Ink) {
  return memo(function Line({ row: { text, color, inner, innerColor, wrap, hidden } }: { row: Row }) {
    const nested = createElement(
      Text,
      { ...(innerColor && { color: innerColor }), inverse: inner.length === 7 },
      inner,
    );
    return createElement(
      Box,
      // Some are wider than what they are in: then that clips them.
      {
        display: hidden ? 'none' : 'flex',
        flexShrink: 0,
        ...((wrap === 'hard' || inner === '') && { width: WIDTH }),
      },
      createElement(Text, { wrap, ...(color && { color: color }) }, text, ' ', nested),
    );
  });
}

type Row = {
  readonly key: number;
  readonly text: string;
  readonly color: string | undefined;
  readonly inner: string;
  readonly innerColor: string | undefined;
  readonly wrap: (typeof WRAPS)[number];
  readonly hidden: boolean;
};
