import { copyFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { builtFile } from '../../../src/project-root.ts';
import type { MachineState } from '../../../src/vmm/machine/machine-state.ts';
import { openFds } from '../../support/fds.ts';
import { resultOf } from '../../support/guest-vm.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { LiveMachine } from '../../support/live-machine.ts';
import { Random } from '../../support/random.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const MiB = 2 ** 20;

const machines: LiveMachine[] = [];
afterEach(() => {
  for (const machine of machines.splice(0)) machine.close();
});

function machineWith(
  append: string,
  options: ConstructorParameters<typeof LiveMachine>[1] = {},
): LiveMachine {
  const path = join(temporaryFolder(), 'disk.img');
  writeFileSync(path, '');
  truncateSync(path, 8 * MiB);
  const devices = [{ type: 'virtio-blk', path }, { type: 'virtio-rng' }];
  const machine = new LiveMachine(append, { devices, ...options });
  machines.push(machine);
  return machine;
}

/** Resets the machine as soon as it is quiesced, and lets it run again. */
function reset({ machine, loop }: LiveMachine, then = () => {}): void {
  const release = machine.quiesce(() => {
    machine.reset(failure => {
      expect(failure).toBeNull();
      then();
      loop.at(0n, release);
    });
  });
}

/** All state by which a guest could distinguish a reset from a power-on, except battery-backed state and time counters. */
function asSeen({ vcpus, chips, devices, pci, interrupts }: MachineState) {
  const { rtc: _, 'acpi-pm': pm, ...others } = devices;
  return {
    ...{ pci, interrupts, others },
    pm: { ...pm, timerStart: 0n },
    vcpus: vcpus.map(({ tsc: _, ...vcpu }) => vcpu),
    chips: { ...chips, pit: chips.pit.channels.map(channel => ({ ...channel, count_load_time: 0n })) },
  };
}
describe.skipIf(noKvm !== null)(onKvm('a machine that is reset in place'), () => {
  test.each([
    [1, 1, false],
    [2, 2, false],
    [3, 4, true],
    [4, 1, true],
  ])(
    'has its power-on state, whatever its guest did (%i, %i vCPUs, mergeable: %s)',
    (seed, cpus, mergeable) => {
      const random = new Random(seed);
      const options = { cpus, memory: { bytes: 32 * MiB, mergeable } };
      const command = `${cpus > 1 ? 'smp 10ms; ' : ''}blk soak 30; rng 64; halt`;
      const machine = machineWith(`run="${command}"`, options);
      const fresh = machineWith(`run="${command}"`, options);
      const powerOn = asSeen(fresh.machine.save());
      const marker = 30 * MiB;
      const held: number[] = [];
      const again = () => {
        machine.ram.writable(marker, 8).fill(0x5a);
        reset(machine, () => {
          expect(asSeen(machine.machine.save())).toEqual(powerOn);
          // The guest's memory is empty, but for what is loaded.
          expect([...machine.ram.readable(marker, 8)]).toEqual(new Array(8).fill(0));
          for (const { address, size } of machine.ram.blocks) {
            const same = Buffer.compare(
              machine.ram.readable(address, size),
              fresh.ram.readable(address, size),
            );
            expect(same).toBe(0);
          }
          machine.flush();
          machine.output = '';
          if (held.push(openFds()) < 8) machine.after(random.below(120), again);
        });
      };
      machine.after(random.below(120), again);
      machine.machine.run();
      machine.run();
      expect([machine.ended, held.length]).toEqual(['power-off', 8]);
      expect(resultOf(machine.output, 'blk-soak')).toMatchObject({
        rounds: 30,
        bad: 0,
        errors: 0,
        backwards: 0,
      });
      if (cpus > 1) expect(resultOf(machine.output, 'smp')).toMatchObject({ cpus, online: cpus });
      expect(held).toEqual(new Array(8).fill(held[0]));
    },
  );

  test('keeps the kernel that it was started with, and its counters and their labels', () => {
    const machine = machineWith('run="blk soak"');
    const { machine: life } = machine;
    const exits = () => machine.native.counters.reduce((sum, word) => sum + word, 0n);
    const labels = JSON.stringify(life.parts.chipset.labels);
    const seen: bigint[] = [];
    const again = () =>
      reset(machine, () => {
        seen.push(exits());
        expect(JSON.stringify(life.parts.chipset.labels)).toBe(labels);
        if (seen.length === 3) machine.end('enough');
        else machine.after(30, again);
      });
    machine.after(30, again);
    life.run();
    machine.run();
    expect(seen).toEqual([...seen].sort((a, b) => (a < b ? -1 : 1)));
  });

  test('keeps its loop running while much memory is cleared, and is exclusive in the meantime', () => {
    const machine = machineWith('run="blk soak 20; halt"', { memory: { bytes: 600 * MiB } });
    const { machine: life } = machine;
    const log: string[] = [];
    machine.after(50, () => {
      const release = life.quiesce(() => {
        life.reset(() => {
          log.push('reset');
          machine.after(0, release);
        });
        log.push('goes on');
        expect(() => life.save()).toThrow('not quiesced');
      });
      const releaseOther = life.quiesce(() => {
        log.push('other');
        life.save();
        machine.after(0, releaseOther);
      });
    });
    life.run();
    machine.run();
    expect(log).toEqual(['goes on', 'reset', 'other']);
    expect(machine.ended).toBe('power-off');
  });

  test('does not run if its kernel is gone', () => {
    const kernel = join(temporaryFolder(), 'kernel');
    copyFileSync(builtFile('guest.elf'), kernel);
    const machine = machineWith('', { boot: { kind: 'kernel', path: kernel, append: 'run="blk soak"' } });
    const failures: unknown[] = [];
    machine.after(20, () => {
      truncateSync(kernel, 100);
      machine.machine.quiesce(() => {
        machine.machine.reset(failure => {
          failures.push(failure);
          machine.end('failed');
        });
      });
    });
    machine.machine.run();
    machine.run();
    expect(failures).toMatchObject([{ name: 'BootError', message: expect.stringMatching(/truncated/) }]);
    expect(() => machine.machine.save()).toThrow('not quiesced');
  });

  test('is not reset, saved or loaded while it runs', () => {
    const machine = machineWith('run="blk soak"');
    const { machine: life } = machine;
    const state = life.save();
    machine.after(10, () => {
      expect(() => life.save()).toThrow('not quiesced');
      expect(() => life.load(state)).toThrow('not quiesced');
      expect(() => life.reset(() => {})).toThrow('not quiesced');
      machine.end('enough');
    });
    life.run();
    machine.run();
  });
});
