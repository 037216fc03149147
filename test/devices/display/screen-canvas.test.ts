import { expect, test } from 'vitest';
import { ScreenCanvas } from '../../../src/devices/display/screen-canvas.ts';
import {
  NOTHING_SEEN,
  type ScreenFrame,
  type ScreenSeen,
} from '../../../src/devices/display/screen-frame.ts';
import { applyUpdate, TILE } from '../../../src/devices/display/screen-update.ts';
import { graphicsFrame, textFrame } from '../../support/fake-screen.ts';
import { Random } from '../../support/random.ts';

/** A viewer of a canvas. */
class Watcher {
  frame: ScreenFrame = { kind: 'off' };
  seen: ScreenSeen = NOTHING_SEEN;
  bytes = 0;

  /** @returns whether there was an update */
  look(canvas: ScreenCanvas): boolean {
    const update = canvas.updateSince(this.seen);
    if (update === null) return false;
    this.bytes = update.update.length;
    this.frame = applyUpdate(this.frame, update.update).frame;
    this.seen = update.seen;
    return true;
  }

  lookAtAll(canvas: ScreenCanvas): void {
    while (this.look(canvas));
  }
}

function draw(canvas: ScreenCanvas, frame: ScreenFrame): void {
  if (frame.kind === 'text') canvas.text(frame);
  else if (frame.kind === 'off') canvas.off();
  else {
    const { width, height, pixels } = frame;
    const colors = new Uint32Array(pixels.buffer, pixels.byteOffset, width * height);
    canvas.graphics(width, height);
    for (let y = 0; y < height; y++) canvas.line(0, y, colors.subarray(y * width, (y + 1) * width), width);
  }
  canvas.finish();
}

test('a screen that is off is one update', () => {
  const canvas = new ScreenCanvas();
  canvas.finish();
  const watcher = new Watcher();
  expect(watcher.look(canvas)).toBe(true);
  expect(watcher.frame).toEqual({ kind: 'off' });
  expect(watcher.look(canvas)).toBe(false);
});

test('only the changed rows of a text screen are sent', () => {
  const canvas = new ScreenCanvas();
  const watcher = new Watcher();
  const before = textFrame(['SeaBIOS', 'Booting from Hard Disk...']);
  draw(canvas, before);
  watcher.lookAtAll(canvas);
  expect(watcher.frame).toEqual(before);
  const first = watcher.bytes;
  const after = textFrame(['SeaBIOS', 'Booting from Floppy...']);
  draw(canvas, after);
  watcher.lookAtAll(canvas);
  expect(watcher.frame).toEqual(after);
  expect([first > 4000, watcher.bytes]).toEqual([true, 14 + 2 + 160]);
  draw(canvas, after);
  expect(watcher.look(canvas)).toBe(false);
});

test('changes of cursor, palette and font are sent', () => {
  const canvas = new ScreenCanvas();
  const watcher = new Watcher();
  const frame = textFrame(['login:']);
  draw(canvas, frame);
  watcher.lookAtAll(canvas);
  for (const change of [
    { cursor: null },
    { blinks: false },
    { palette: frame.palette.map(color => color ^ 0xff) },
    { font: { ...frame.font, second: new Uint8Array(256 * 16).fill(3) } },
    { font: { width: 8, height: 8, glyphs: new Uint8Array(256 * 8).fill(1), second: null } },
  ]) {
    const next = { ...frame, ...change };
    draw(canvas, next);
    watcher.lookAtAll(canvas);
    expect(watcher.frame).toEqual(next);
  }
});

test('only the changed tiles of a picture are sent, with few bytes for few colors', () => {
  const canvas = new ScreenCanvas();
  const watcher = new Watcher();
  draw(
    canvas,
    graphicsFrame(640, 480, () => 0x123456),
  );
  watcher.lookAtAll(canvas);
  expect(watcher.bytes).toBe(5 + 150 * 9);
  const next = graphicsFrame(640, 480, (x, y) => (x === 100 && y === 100 ? 0xff_ffff : 0x123456));
  draw(canvas, next);
  watcher.lookAtAll(canvas);
  expect(watcher.frame).toEqual(next);
  expect(watcher.bytes).toBe(5 + 4 + 2 + 6 + (TILE.width * TILE.height) / 8);
});

test('tiles preserve 1, 2, 4, 16 and more colors', () => {
  for (const colors of [1, 2, 3, 4, 5, 16, 17, 1000]) {
    const canvas = new ScreenCanvas();
    const watcher = new Watcher();
    const frame = graphicsFrame(70, 40, (x, y) => (((x + 70 * y) % colors) * 0x10305) & 0xff_ffff);
    draw(canvas, frame);
    watcher.lookAtAll(canvas);
    expect(watcher.frame).toEqual(frame);
  }
});

test('a large picture is sent in parts, even while it changes', () => {
  const random = new Random(1);
  const canvas = new ScreenCanvas();
  const noise = () => graphicsFrame(960, 768, () => random.u32() & 0xff_ffff);
  draw(canvas, noise());
  const watcher = new Watcher();
  expect(watcher.look(canvas)).toBe(true);
  expect(watcher.bytes).toBeLessThan(2 ** 21);
  const last = noise();
  draw(canvas, last);
  let parts = 0;
  while (watcher.look(canvas)) parts++;
  expect(parts).toBeGreaterThan(2);
  expect(watcher.frame).toEqual(last);
});

test('viewers with different histories end with the same frame', () => {
  const random = new Random(7);
  const canvas = new ScreenCanvas();
  const watchers = [new Watcher(), new Watcher(), new Watcher()];
  let frame = { kind: 'off' } as ScreenFrame;
  for (let round = 0; round < 300; round++) {
    const what = random.u32() % 8;
    if (what === 0) frame = { kind: 'off' };
    else if (what === 1)
      frame = textFrame([`round ${round}`], random.u32() % 2 ? { columns: 40 } : { rows: 50 });
    else if (what === 2) frame = graphicsFrame(100, 50 + (random.u32() % 3), () => round);
    else if (frame.kind === 'text') {
      const cells: Uint16Array = frame.cells.slice();
      cells[random.u32() % cells.length] = random.u32() & 0xffff;
      frame = { ...frame, cells } as ScreenFrame;
    } else if (frame.kind === 'graphics') {
      const pixels: Uint8Array = frame.pixels.slice();
      pixels[4 * (random.u32() % (pixels.length / 4))] = random.u32() & 0xff;
      frame = { ...frame, pixels } as ScreenFrame;
    }
    draw(canvas, frame);
    for (const watcher of watchers) if (random.u32() % 3 === 0) watcher.look(canvas);
  }
  for (const watcher of watchers) {
    watcher.lookAtAll(canvas);
    expect(watcher.frame).toEqual(frame);
  }
});

test('a picture that is too large is off', () => {
  const canvas = new ScreenCanvas();
  expect(canvas.graphics(16_000, 12_000)).toBe(false);
  canvas.finish();
  const watcher = new Watcher();
  watcher.lookAtAll(canvas);
  expect(watcher.frame.kind).toBe('off');
});

test('garbage is rejected with an Error', () => {
  const random = new Random(3);
  const good = new ScreenCanvas();
  draw(good, textFrame(['x']));
  const text = good.updateSince(NOTHING_SEEN)!.update;
  draw(
    good,
    graphicsFrame(200, 100, (x, y) => x * y),
  );
  const picture = good.updateSince(NOTHING_SEEN)!.update;
  let refused = 0;
  for (let round = 0; round < 2000; round++) {
    const bytes = (round % 2 ? text : picture).slice(0, 1 + (random.u32() % picture.length));
    for (let count = random.u32() % 4; count >= 0; count--)
      bytes[random.u32() % Math.min(bytes.length, 40)] = random.u32();
    try {
      applyUpdate({ kind: 'off' }, bytes);
    } catch (error) {
      expect((error as Error).message).toMatch(/not valid|too early|not known|lacks its colors/);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(500);
});
