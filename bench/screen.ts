import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ScreenCanvas } from '../src/devices/display/screen-canvas.ts';
import { NOTHING_SEEN } from '../src/devices/display/screen-frame.ts';
import { graphicsFrame, textFrame } from '../test/support/fake-screen.ts';
import { LiveMachine } from '../test/support/live-machine.ts';
import { workDirectory } from './guest.ts';
import { atMost, type Measurement } from './measurement.ts';

const MiB = 2 ** 20;
const WRITES = 32 * 2048;
const ROUNDS = 200;

/** The cost of a screen: a guest's write to it, drawing it, and the bytes sent. */
export async function measureScreen(): Promise<Measurement[]> {
  const { exit, direct } = textWrites();
  const bytes = textTraffic();
  return [
    { what: 'text write that exits', unit: 'µs', values: { vring: exit } },
    { what: 'text write to shown memory', unit: 'µs', values: { vring: direct } },
    { what: 'drawing a text screen', unit: 'µs', values: { vring: drawText() } },
    { what: 'drawing 1024x768 pixels', unit: 'ms', values: { vring: drawPixels() / 1000 } },
    {
      what: 'text that scrolls, 10 frames a second',
      unit: 'kB/s',
      values: { vring: bytes / 1000 },
      target: atMost(100, 'kB/s', bytes / 1000),
    },
  ];
}

/** Microseconds per guest write, with and without an exit. */
function textWrites(): { exit: number; direct: number } {
  const [object, disk] = [join(workDirectory, 'text-writes.o'), join(workDirectory, 'text-writes.img')];
  execFileSync('as', ['--32', '-o', object, join(import.meta.dirname, 'text-writes.S')]);
  execFileSync('ld', ['-m', 'elf_i386', '-Ttext', '0x7c00', '--oformat', 'binary', '-o', disk, object]);
  writeFileSync(disk, Buffer.concat([readFileSync(disk)], MiB));
  const live = new LiveMachine('', {
    boot: { kind: 'firmware' },
    memory: { bytes: 64 * MiB },
    devices: [
      { type: 'vga' },
      { type: 'isa-debugcon', iobase: 0x402 },
      { type: 'virtio-blk', path: disk, format: 'raw' },
    ],
  });
  const at: number[] = [];
  let seen = 0;
  live.onPrinted = () => {
    const [, said = ''] = live.printed[1]?.split('Booting from 0000:7c00\n') ?? [];
    const letters = said.replaceAll(/set VGA mode .*\n/g, '').replaceAll(/[^abc]/g, '').length;
    for (; seen < letters; seen++) at.push(performance.now());
  };
  live.after(120_000, () => live.end('it takes too long'));
  live.machine.run();
  live.run();
  live.close();
  const [before, between, after] = at;
  if (after === undefined) throw new Error(`the guest has not written to its screen: ${live.ended}`);
  return { exit: (1000 * (between! - before!)) / WRITES, direct: (1000 * (after - between!)) / WRITES };
}

function drawText(): number {
  const canvas = new ScreenCanvas();
  const frames = [textFrame(['one']), textFrame(['two'])];
  return timed(round => {
    canvas.text(frames[round % 2]!);
    canvas.finish();
  });
}

function drawPixels(): number {
  const canvas = new ScreenCanvas();
  const frames = [0, 1].map(which => {
    const { pixels, width, height } = graphicsFrame(1024, 768, (x, y) => (which ? x * y : x + y) & 0xff_ffff);
    return new Uint32Array(pixels.buffer, 0, width * height);
  });
  canvas.graphics(1024, 768);
  return timed(round => {
    for (let y = 0; y < 768; y++)
      canvas.line(0, y, frames[round % 2]!.subarray(1024 * y, 1024 * (y + 1)), 1024);
    canvas.finish();
  }, ROUNDS / 10);
}

/** Bytes per second, in base64, of a scrolling log with one new line in each of ten frames. */
function textTraffic(): number {
  const canvas = new ScreenCanvas();
  const lines = Array.from(
    { length: 125 },
    (_, line) => `[${line}.123456] a line of a log that scrolls by, as a kernel prints`,
  );
  let seen = NOTHING_SEEN;
  let bytes = 0;
  for (let frame = 0; frame < 100; frame++) {
    canvas.text(textFrame(lines.slice(frame, frame + 25)));
    canvas.finish();
    const update = canvas.updateSince(seen);
    if (update === null) continue;
    seen = update.seen;
    bytes += Math.ceil(update.update.length / 3) * 4;
  }
  return bytes / 10;
}

/** Microseconds per round. */
function timed(action: (round: number) => void, rounds = ROUNDS): number {
  for (let round = 0; round < rounds; round++) action(round);
  const began = performance.now();
  for (let round = 0; round < rounds; round++) action(round);
  return (1000 * (performance.now() - began)) / rounds;
}
