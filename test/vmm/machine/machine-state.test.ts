import { copyFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import type { VcpuState } from '../../../src/vmm/cpu/vcpu-state.ts';
import { type MachineState, MachineStateError } from '../../../src/vmm/machine/machine-state.ts';
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

function machineWith(append: string, disk: string, cpus = 1): LiveMachine {
  const machine = new LiveMachine(append, {
    cpus,
    devices: [{ type: 'virtio-blk', path: disk }, { type: 'virtio-rng' }],
  });
  machines.push(machine);
  return machine;
}

function newDisk(): string {
  const path = join(temporaryFolder(), 'disk.img');
  writeFileSync(path, '');
  truncateSync(path, 8 * MiB);
  return path;
}

/** A machine of the same configuration, with a copy of the memory and of the disk. */
function copyOf(from: LiveMachine, disk: string, cpus: number): LiveMachine {
  const copy = `${disk}.copy`;
  copyFileSync(disk, copy);
  const to = machineWith('run="crash"', copy, cpus);
  for (const { address, size } of from.ram.blocks) {
    to.ram.writable(address, size).set(from.ram.readable(address, size));
  }
  return to;
}

/** Local APIC: the current count of its timer (SDM vol. 3 §11.5.4). */
const TIMER_COUNT = 0x390;
const TSC_DEADLINE = 0x6e0;

/** What doesn't change by itself in a machine that stands still. */
function timeless(state: MachineState) {
  const { chips, clock: _, vcpus, ...rest } = structuredClone(state);
  const vcpu = ({ tsc, lapic, msrs, ...others }: VcpuState) => {
    lapic.fill(0, TIMER_COUNT, TIMER_COUNT + 4);
    return { ...others, khz: tsc.khz, lapic, msrs: msrs.filter(({ index }) => index !== TSC_DEADLINE) };
  };
  const channels = chips.pit.channels.map(channel => ({ ...channel, count_load_time: 0n }));
  return { ...rest, chips: { ...chips, pit: { ...chips.pit, channels } }, vcpus: vcpus.map(vcpu) };
}

/** Loads a state, and checks that the machine then has it. @returns what it saves */
function load({ machine }: LiveMachine, state: MachineState): MachineState {
  for (let attempts = 10; ; attempts--) {
    machine.load(structuredClone(state));
    const loaded = machine.save();
    // A tick of the 8254, which KVM does not stop with the vCPUs, may have come in between.
    if (attempts > 1 && !isDeepStrictEqual(timeless(loaded), timeless(state))) continue;
    expect(timeless(loaded)).toEqual(timeless(state));
    return loaded;
  }
}

const SOUND = { bad: 0, errors: 0, backwards: 0 };

describe.skipIf(noKvm !== null)(onKvm('the state of a machine'), () => {
  test.each([
    [1, 1],
    [2, 2],
    [3, 1],
    [4, 2],
    [5, 1],
    [6, 1],
  ])('is the same once loaded, and both machines continue from it (%i, %i vCPUs)', (seed, cpus) => {
    const random = new Random(seed);
    const disk = newDisk();
    const command = 'blk soak 60; rng 64; halt';
    const from = machineWith(`run="${cpus > 1 ? 'smp 1ms; ' : ''}${command}"`, disk, cpus);
    let copies = 0;
    const copy = () => {
      const release = from.machine.quiesce(() => {
        const state = structuredClone(from.machine.save());
        from.after(0, release);
        // The guest sets its disk up again for each way of using it.
        if (requestsTaken(state) === 0) {
          from.after(random.below(9), copy);
          return;
        }
        const to = copyOf(from, disk, cpus);
        expectNotBefore(load(to, state), state);
        from.flush();
        to.output = from.output;
        to.machine.run();
        to.run();
        expect(to.ended).toBe('power-off');
        expect(resultOf(to.output, 'blk-soak')).toMatchObject({ rounds: 60, ...SOUND });
        copies++;
      });
    };
    // Not before the guest has begun.
    const begun = () => {
      if (from.output.includes('16 rounds')) from.after(random.below(50), copy);
      else from.after(5, begun);
    };
    begun();
    from.machine.run();
    from.run();
    expect([from.ended, copies]).toEqual(['power-off', 1]);
    expect(resultOf(from.output, 'blk-soak')).toMatchObject({ rounds: 60, ...SOUND });
  });

  test('can be loaded into the machine that saved it, and back again', () => {
    const disk = newDisk();
    const machine = machineWith('run="blk soak 30; halt"', disk);
    let loads = 0;
    const again = () => {
      const release = machine.machine.quiesce(() => {
        load(machine, structuredClone(machine.machine.save()));
        loads++;
        machine.after(0, release);
        machine.after(20, again);
      });
    };
    machine.after(30, again);
    machine.machine.run();
    machine.run();
    expect(machine.ended).toBe('power-off');
    expect(loads).toBeGreaterThan(3);
    expect(resultOf(machine.output, 'blk-soak')).toMatchObject({ rounds: 30, ...SOUND });
  });

  test.each<[string, RegExp, (state: MachineState) => void]>([
    ['of another version', /has version 7/, state => Object.assign(state, { version: 7 })],
    ['with more vCPUs', /had 2 vCPUs, this one has room for 1/, state => state.vcpus.push(state.vcpus[0]!)],
    ['with another vCPU', /their numbers are not valid/, state => (state.vcpuIndices = [1])],
    ['with too many numbers', /numbers are not valid/, state => (state.vcpuIndices = [0, 1])],
    ['without a device', /had no device blk0/, state => delete state.devices.blk0],
    ['with another device', /had a device blk7/, state => (state.devices.blk7 = {})],
    ['with a damaged device', /saved com1 does not fit/, state => (state.devices.com1 = {})],
    [
      'with half a register',
      /saved vCPU 0 does not fit/,
      state => Object.assign(state.vcpus[0]!.regs, { rip: 1 }),
    ],
    [
      'with a small XSAVE area',
      /saved vCPU 0/,
      state => Object.assign(state.vcpus[0]!, { xsave: new Uint8Array(64) }),
    ],
    ['with a TSC that no host has', /runs at 7 kHz/, state => Object.assign(state.vcpus[0]!.tsc, { khz: 7 })],
    [
      'with impossible control registers',
      /saved vCPU 0/,
      state => Object.assign(state.vcpus[0]!.sregs, { cr4: 2n ** 40n }),
    ],
    ['without chips', /interrupt controllers/, state => Object.assign(state, { chips: {} })],
    ['without clocks', /clock/, state => Object.assign(state, { clock: {} })],
    ['without vCPUs', /had 0 vCPUs/, state => Object.assign(state, { vcpus: null })],
  ])('%s is rejected', (_what, message, damage) => {
    const { machine } = machineWith('', newDisk());
    const state = structuredClone(machine.save());
    machine.load(structuredClone(state));
    damage(state);
    expect(() => machine.load(state)).toThrow(MachineStateError);
    expect(() => machine.load(state)).toThrow(message);
  });
});

function requestsTaken({ devices }: MachineState): number {
  const { queues } = devices.blk0!.lifecycle as { queues: { lastAvail: number }[] };
  return queues[0]!.lastAvail;
}

/** No clock of the guest has gone back, and its vCPUs' TSCs are as far apart as they were. */
function expectNotBefore(later: MachineState, earlier: MachineState): void {
  expect(later.clock.machine >= earlier.clock.machine).toBe(true);
  expect(later.clock.kvmclock >= earlier.clock.kvmclock).toBe(true);
  for (const [i, { tsc }] of later.vcpus.entries()) {
    expect(tsc.value >= earlier.vcpus[i]!.tsc.value).toBe(true);
    const apart = ({ vcpus }: MachineState) =>
      BigInt.asIntN(64, vcpus[i]!.tsc.offset! - vcpus[0]!.tsc.offset!);
    if (tsc.offset !== null) expect(apart(later)).toBe(apart(earlier));
  }
}
