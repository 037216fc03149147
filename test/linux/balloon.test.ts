import { fstatSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LiveMachine } from '../support/live-machine.ts';
import { makeLinux, whyNoLinux } from './linux-guest.ts';

const MiB = 2 ** 20;
const MEMORY = 160 * MiB;

const missing = whyNoLinux();
if (missing !== null) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== null)("Linux on this machine's KVM, with a balloon", () => {
  const directory = mkdtempSync(join(tmpdir(), 'vring-linux-'));
  let files: { readonly kernel: string; readonly initrd: string };

  beforeAll(async () => {
    files = await makeLinux(directory, 'memory.c');
  });

  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  test('gives its host memory back, takes it again, and tells what it does with the rest', () => {
    const append = 'console=ttyS0 quiet rodata=off';
    const machine = new LiveMachine('', {
      memory: { bytes: MEMORY },
      boot: { kind: 'kernel', path: files.kernel, initrd: files.initrd, append },
      devices: [
        { type: 'virtio-balloon', 'guest-stats-polling-interval': 1 },
        { type: 'virtio-rng', 'max-bytes': 4096, period: 1000 },
      ],
    });
    /** What the machine's memory takes of the host. */
    const used = () => fstatSync(machine.ram.blocks[0]!.fd!).blocks * 512;
    const { balloon } = machine.machine.parts.chipset.devices.find(
      ({ capabilities }) => capabilities?.balloon,
    )!.capabilities!;
    const seen: Record<string, number> = {};
    const ended = () => Object.keys(seen);
    machine.onPrinted = () => {
      if (!machine.output.includes('guest: ready') || ended().length > 0) return;
      seen.before = used();
      balloon!.setTarget(96 * MiB);
    };
    balloon!.onChanged(() => {
      const { current, target, stats } = balloon!.facts;
      if (seen.before === undefined || current !== target) return;
      if (seen.inflated === undefined) {
        if (stats?.free === undefined) return;
        seen.inflated = used();
        seen.total = stats.total ?? 0;
        balloon!.setTarget(MEMORY);
      } else if (target === MEMORY) machine.end('deflated');
    });
    machine.machine.run();
    machine.run();
    machine.close();
    expect(machine.output).toMatch(/guest: random (?!0{16})[0-9a-f]{16}/);
    expect(machine.output).not.toMatch(/failed|panic/i);
    expect(machine.ended).toBe('deflated');
    // Of what it used and freed, the host has most.
    expect(seen.before! - seen.inflated!).toBeGreaterThan(40 * MiB);
    expect(seen.total).toBeGreaterThan(64 * MiB);
  }, 300_000);
});
