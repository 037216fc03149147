import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LiveMachine } from '../support/live-machine.ts';
import { ScreenWatcher, textOf } from '../support/screen-watcher.ts';
import { DEVICES_KERNEL, makeLinux, whyNoLinux } from './linux-guest.ts';

const missing = whyNoLinux(DEVICES_KERNEL);
if (missing !== null) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== null)('Linux with a screen', () => {
  let directory: string;
  let kernel: string;
  let initrd: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vring-linux-'));
    ({ kernel, initrd } = await makeLinux(directory, 'init.c', DEVICES_KERNEL));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  test('has its console in text mode, and scrolls it', { timeout: 300_000 }, () => {
    const live = new LiveMachine('', {
      memory: { bytes: 128 * 2 ** 20 },
      boot: { kind: 'kernel', path: kernel, initrd, append: 'console=tty0 rodata=off' },
      devices: [{ type: 'vga' }],
    });
    try {
      // It is enough that the first lines have scrolled off: booting completely takes long.
      const watcher = new ScreenWatcher(live.machine.parts.chipset.screens[0]!, frame => {
        if (textOf(frame).includes('Zone ranges:')) live.end('scrolled');
      });
      live.after(250_000, () => live.end('it is still running'));
      live.machine.run();
      live.run();
      expect(live.ended).toBe('scrolled');
      expect(watcher.frame).toMatchObject({ kind: 'text', columns: 80, rows: 25 });
      expect(watcher.text).toMatch(/^\[ +\d+\.\d{6}\] /m);
      expect(watcher.text).not.toContain('Linux version');
    } finally {
      live.close();
    }
  });
});
