import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { ScreenFrame } from '../../../src/devices/display/screen-frame.ts';
import { VGA_COLORS } from '../../support/fake-screen.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { LiveMachine } from '../../support/live-machine.ts';
import { pixelOf, ScreenWatcher, textOf } from '../../support/screen-watcher.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const MiB = 2 ** 20;
const TIMEOUT = 240_000;
/** Longer than the interval between two updates of a screen. */
const LOOK_MS = 100;

const source = join(import.meta.dirname, 'modes.S');
let machine: LiveMachine | null = null;
afterAll(() => machine?.close());

/** The image of a disk whose boot sector sets modes and draws. */
function modesDisk(): string {
  const folder = temporaryFolder();
  const [object, path] = [join(folder, 'modes.o'), join(folder, 'modes.img')];
  execFileSync('as', ['--32', '-o', object, source]);
  execFileSync('ld', ['-m', 'elf_i386', '-Ttext', '0x7c00', '--oformat', 'binary', '-o', path, object]);
  writeFileSync(path, Buffer.concat([readFileSync(path)], MiB));
  return path;
}

describe.skipIf(noKvm !== null)(onKvm('a VGA under SeaBIOS'), () => {
  test('shows text, planar, packed and true color modes set by a boot sector', {
    timeout: TIMEOUT,
  }, () => {
    const disk = { type: 'virtio-blk', path: modesDisk(), format: 'raw' };
    machine = new LiveMachine('', {
      boot: { kind: 'firmware' },
      memory: { bytes: 64 * MiB },
      devices: [{ type: 'vga' }, { type: 'isa-debugcon', iobase: 0x402 }, disk],
    });
    const live = machine;
    const frames = new Map<string, ScreenFrame>();
    let banner = '';
    const watcher = new ScreenWatcher(live.machine.parts.chipset.screens[0]!, frame => {
      if (banner === '' && textOf(frame).includes('Booting')) banner = textOf(frame);
    });
    let seen = 0;
    live.onPrinted = () => {
      // Messages of the VGA BIOS are separate lines.
      const [, said = ''] = live.printed[1]?.split('Booting from 0000:7c00\n') ?? [];
      const letters = said.replaceAll(/set VGA mode .*\n|VBE .*\n/g, '');
      if (letters.length <= seen || !/^[tcpive]+$/.test(letters)) return;
      seen = letters.length;
      live.after(LOOK_MS, () => {
        frames.set(letters.at(-1)!, structuredClone(watcher.frame));
        live.type('com1', ' ');
      });
    };
    live.after(TIMEOUT / 2, () => live.end(`it is still running: ${live.output}`));
    live.machine.run();
    live.run();
    expect(live.ended).toBe('power-off');

    expect(banner).toMatch(/^SeaBIOS \(version /);
    // There is a screen, so firmware leaves COM1 to the guest.
    expect(live.printed[0] ?? '').toBe('');
    const text = frames.get('t')!;
    expect(textOf(text).trimEnd()).toBe('Text by INT 10h');
    expect(text).toMatchObject({ columns: 80, rows: 25, palette: VGA_COLORS, cursor: { column: 0, row: 1 } });
    const characters = frames.get('c') as Extract<ScreenFrame, { kind: 'text' }>;
    expect(Array.from(characters.cells)).toEqual(
      Array.from({ length: 2000 }, (_, at) => (at * 0x101) & 0xffff),
    );
    // The letter A.
    expect(characters.font.glyphs.slice(16 * 0x41, 16 * 0x42)).toEqual(
      Uint8Array.of(0, 0, 0x10, 0x38, 0x6c, 0xc6, 0xc6, 0xfe, 0xc6, 0xc6, 0xc6, 0xc6, 0, 0, 0, 0),
    );

    const planar = frames.get('p')!;
    expect(planar).toMatchObject({ kind: 'graphics', width: 640, height: 480 });
    for (let color = 0; color < 16; color++) {
      const x = 40 * color;
      expect([pixelOf(planar, x, 0), pixelOf(planar, x + 39, 99)]).toEqual([
        VGA_COLORS[color],
        VGA_COLORS[color],
      ]);
    }
    expect(pixelOf(planar, 639, 100)).toBe(0);
    expect([pixelOf(planar, 0, 200), pixelOf(planar, 1, 200), pixelOf(planar, 638, 200)]).toEqual([
      0xff_ffff, 0, 0xff_ffff,
    ]);

    const packed = frames.get('i')!;
    expect(packed).toMatchObject({ kind: 'graphics', width: 320, height: 200 });
    for (const [x, y] of [
      [0, 0],
      [15, 0],
      [3, 4],
      [100, 156],
    ] as const)
      expect(pixelOf(packed, x, y)).toBe((x + y) % 256 < 16 ? VGA_COLORS[(x + y) % 256] : 0);

    const trueColor = frames.get('v')!;
    expect(trueColor).toMatchObject({ kind: 'graphics', width: 1024, height: 768 });
    for (let bank = 0; bank < 48; bank++) {
      const color = (bank * 0x050302) & 0xff_ffff;
      expect([pixelOf(trueColor, 0, 16 * bank), pixelOf(trueColor, 1023, 16 * bank + 15)]).toEqual([
        color,
        color,
      ]);
    }
    expect(frames.get('e')).toMatchObject({ kind: 'text', columns: 80, rows: 25 });
    watcher.close();
  });
});
