import { copyFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LiveMachine } from '../support/live-machine.ts';
import { makeLinux, whyNoLinux } from './linux-guest.ts';

const MiB = 2 ** 20;
/** Rounds that Linux keeps running after each operation on it. */
const ROUNDS = 5;

const missing = whyNoLinux();
if (missing !== null) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== null)("Linux on this machine's KVM, writing and reading its disk", () => {
  const directory = mkdtempSync(join(tmpdir(), 'vring-linux-'));
  let files: { readonly kernel: string; readonly initrd: string };

  beforeAll(async () => {
    files = await makeLinux(directory, 'rounds.c');
  });

  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  function linux(disk: string): LiveMachine {
    const append = 'console=ttyS0 quiet rodata=off';
    return new LiveMachine('', {
      memory: { bytes: 128 * MiB },
      boot: { kind: 'kernel', path: files.kernel, initrd: files.initrd, append },
      devices: [{ type: 'virtio-blk', path: disk }],
    });
  }

  test('continues from a state that was saved in the middle, and reboots after a reset', () => {
    const disk = join(directory, 'disk.img');
    writeFileSync(disk, '');
    truncateSync(disk, 8 * MiB);
    const machine = linux(disk);
    const { machine: life } = machine;
    const done: string[] = [];

    const reset = (what: string) => {
      const release = life.quiesce(() => {
        machine.flush();
        machine.output = '';
        life.reset(failure => {
          expect(failure).toBeNull();
          done.push(what);
          machine.after(0, release);
        });
      });
    };
    const copy = () => {
      const release = life.quiesce(() => {
        const state = structuredClone(life.save());
        copyFileSync(disk, `${disk}.copy`);
        const other = linux(`${disk}.copy`);
        for (const { address, size } of machine.ram.blocks)
          other.ram.writable(address, size).set(machine.ram.readable(address, size));
        other.machine.load(state);
        machine.flush();
        const before = rounds(machine);
        other.output = machine.output;
        other.onPrinted = () => {
          if (rounds(other) >= before + ROUNDS) other.end('went on');
        };
        other.machine.run();
        other.run();
        other.close();
        expect(other.ended).toBe('went on');
        done.push('copied');
        machine.after(0, release);
      });
    };
    // In the middle of its first boot.
    machine.after(500, () => reset('reset as it boots'));
    let step = 0;
    machine.onPrinted = () => {
      if (step === 0 && rounds(machine) >= ROUNDS) {
        step++;
        copy();
      } else if (step === 1 && rounds(machine) >= 2 * ROUNDS) {
        step++;
        reset('reset at work');
      } else if (step === 2 && done.length === 3 && rounds(machine) === ROUNDS) {
        machine.end('went on');
      }
    };
    life.run();
    machine.run();
    machine.close();
    expect(machine.output).not.toMatch(/wrong|panic/i);
    expect([machine.ended, ...done]).toEqual(['went on', 'reset as it boots', 'copied', 'reset at work']);
  }, 400_000);
});

/** The number of the last round that it reports. */
function rounds({ output }: LiveMachine): number {
  const all = [...output.matchAll(/guest: round ([0-9a-f]{8})/g)];
  return Number.parseInt(all.at(-1)?.[1] ?? '0', 16);
}
