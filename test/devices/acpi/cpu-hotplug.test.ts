import { describe, expect, test } from 'vitest';
import { CpuHotplug } from '../../../src/devices/acpi/cpu-hotplug.ts';
import type { DeviceState } from '../../../src/devices/device.ts';
import { DeviceStateError } from '../../../src/devices/state.ts';
import { Random } from '../../support/random.ts';

/** Offsets and values as in docs/specs/acpi_cpu_hotplug.rst of QEMU. */
const [SELECTOR, FLAGS, COMMAND, DATA] = [0, 4, 5, 8];
const [ENABLED, INSERTING, REMOVING, EJECT] = [1, 2, 4, 8];
const [NEXT, OST_EVENT, OST_STATUS, ID] = [0, 1, 2, 3];
const APIC_IDS = [0, 1, 4, 5];

class Rig {
  readonly present = new Set([0]);
  readonly log: string[] = [];
  enabled = true;
  readonly cpus = new CpuHotplug({
    apicIds: APIC_IDS,
    isPresent: cpu => this.present.has(cpu),
    notify: () => this.log.push('notified'),
    isEnabled: () => this.enabled,
  });

  constructor() {
    this.cpus.events = {
      ejected: cpu => {
        this.present.delete(cpu);
        this.log.push(`ejected ${cpu}`);
      },
      noticed: cpu => this.log.push(`noticed ${cpu}`),
      reported: (cpu, event, status) => this.log.push(`reported ${cpu} ${event} ${status}`),
    };
  }

  add(cpu: number): void {
    this.present.add(cpu);
    this.cpus.announce(cpu);
  }

  get taken(): string[] {
    return this.log.splice(0);
  }

  select(cpu: number): void {
    this.cpus.write(SELECTOR, 4, cpu);
  }

  flagsOf(cpu: number): number {
    this.select(cpu);
    return this.cpus.read(FLAGS, 1);
  }

  command(value: number): number {
    this.cpus.write(COMMAND, 1, value);
    return this.cpus.read(DATA, 4);
  }
}

describe('the registers of CPUs that come and go', () => {
  test('say which are present, and their IDs', () => {
    const rig = new Rig();
    rig.present.add(2);
    expect([0, 1, 2, 3].map(cpu => rig.flagsOf(cpu))).toEqual([ENABLED, 0, ENABLED, 0]);
    const ids = [0, 1, 2, 3].map(cpu => {
      rig.select(cpu);
      return rig.command(ID);
    });
    expect(ids).toEqual(APIC_IDS);
  });

  test('are the modern ones, as firmware finds out (OvmfPkg, MaxCpuCountInitialization)', () => {
    const rig = new Rig();
    rig.select(0);
    rig.select(0);
    rig.command(NEXT);
    expect(rig.cpus.read(0, 4)).toBe(0);
    // It counts the possible CPUs: the selection of one that does not exist reads as 0.
    const possible = [1, 2, 3, 4, 5].map(cpu => {
      rig.select(cpu);
      return rig.command(NEXT);
    });
    expect(possible).toEqual([1, 2, 3, 0, 0]);
  });

  test('lead the guest from one event to the next, and around', () => {
    const rig = new Rig();
    rig.add(1);
    rig.add(3);
    expect(rig.taken).toEqual(['notified', 'notified']);
    rig.select(2);
    expect(rig.command(NEXT)).toBe(3);
    expect(rig.cpus.read(FLAGS, 1)).toBe(ENABLED | INSERTING);
    rig.cpus.write(FLAGS, 1, INSERTING);
    expect(rig.taken).toEqual(['noticed 3']);
    expect(rig.command(NEXT)).toBe(1);
    rig.cpus.write(FLAGS, 1, INSERTING);
    expect([rig.command(NEXT), rig.cpus.read(FLAGS, 1)]).toEqual([1, ENABLED]);
  });

  test('ask for a CPU until it is ejected, or the request is withdrawn', () => {
    const rig = new Rig();
    for (const cpu of [1, 2]) rig.present.add(cpu);
    for (const cpu of [1, 2]) rig.cpus.requestRemoval(cpu);
    rig.cpus.cancelRemoval(1);
    expect([rig.flagsOf(1), rig.flagsOf(2)]).toEqual([ENABLED, ENABLED | REMOVING]);
    rig.cpus.write(FLAGS, 1, REMOVING);
    expect([rig.flagsOf(2), rig.cpus.removing(2), rig.cpus.removing(1)]).toEqual([ENABLED, true, false]);
    rig.log.length = 0;
    rig.cpus.write(FLAGS, 1, EJECT);
    expect(rig.taken).toEqual(['ejected 2']);
    expect([rig.flagsOf(2), rig.cpus.removing(2)]).toEqual([0, false]);
  });

  test('report what has become of an event', () => {
    const rig = new Rig();
    rig.select(1);
    rig.cpus.write(COMMAND, 1, OST_EVENT);
    rig.cpus.write(DATA, 4, 3);
    rig.cpus.write(COMMAND, 1, OST_STATUS);
    rig.cpus.write(DATA, 4, 0x82);
    expect(rig.taken).toEqual(['reported 1 3 130']);
  });

  test('eject neither CPU 0, nor what is absent or does not exist', () => {
    const rig = new Rig();
    rig.present.add(1);
    for (const cpu of [0, 2, 4, 0xffff_ffff]) {
      rig.select(cpu);
      rig.cpus.write(FLAGS, 1, EJECT);
    }
    expect(rig.taken).toEqual([]);
    rig.select(1);
    rig.cpus.write(FLAGS, 1, EJECT);
    rig.cpus.write(FLAGS, 1, EJECT);
    expect(rig.taken).toEqual(['ejected 1']);
  });

  test('finish a removal at a reset, and notice what was added; sleep changes neither', () => {
    const rig = new Rig();
    rig.add(1);
    rig.add(2);
    rig.cpus.requestRemoval(2);
    rig.log.length = 0;
    rig.cpus.wake();
    expect([rig.flagsOf(1), rig.flagsOf(2)]).toEqual([ENABLED | INSERTING, ENABLED | INSERTING | REMOVING]);
    rig.cpus.reset();
    expect(rig.taken).toEqual(['noticed 1', 'ejected 2']);
    expect([rig.flagsOf(1), rig.flagsOf(2)]).toEqual([ENABLED, 0]);
  });

  test('are the same after a save and a load', () => {
    const rig = new Rig();
    rig.add(1);
    rig.add(2);
    rig.cpus.requestRemoval(2);
    rig.select(2);
    rig.command(ID);
    const other = new Rig();
    for (const cpu of [1, 2]) other.present.add(cpu);
    other.cpus.load(structuredClone(rig.cpus.save()));
    expect(other.cpus.save()).toEqual(rig.cpus.save());
    expect(other.cpus.read(DATA, 4)).toBe(4);
    expect([other.cpus.inserting(1), other.cpus.removing(2)]).toEqual([true, true]);
    expect(other.taken).toEqual([]);
  });

  test('load no events of CPUs that are absent, or of CPU 0', () => {
    const rig = new Rig();
    rig.add(1);
    rig.add(3);
    rig.cpus.requestRemoval(1);
    const state = rig.cpus.save();
    (state.cpus as DeviceState[])[0] = { ...(state.cpus as DeviceState[])[1] };
    const other = new Rig();
    other.cpus.load(state);
    expect([0, 1, 2, 3].map(cpu => other.flagsOf(cpu))).toEqual([ENABLED, 0, 0, 0]);
    expect([0, 1, 2, 3].some(cpu => other.cpus.removing(cpu))).toBe(false);
  });

  test.each<[string, (state: DeviceState) => void]>([
    ['fewer CPUs', state => (state.cpus as DeviceState[]).pop()],
    ['a command that does not exist', state => (state.command = 4)],
    ['a flag that is none', state => ((state.cpus as DeviceState[])[1]!.inserting = 1)],
    ['no selection', state => delete state.selector],
  ])('refuse a state with %s', (_, damage) => {
    const rig = new Rig();
    const state = rig.cpus.save();
    rig.cpus.load(structuredClone(state));
    damage(state);
    expect(() => rig.cpus.load(state)).toThrow(DeviceStateError);
  });

  test.each([1, 2, 3])('survive garbage, of seed %i', seed => {
    const random = new Random(seed);
    const rig = new Rig();
    const isPresent = () => [...rig.present].every(cpu => cpu < APIC_IDS.length) && rig.present.has(0);
    for (let round = 0; round < 20_000; round++) {
      const [offset, size] = [random.below(16), random.pick([1, 2, 4] as const)];
      // Mostly selections that exist.
      const value = random.below(4) > 0 ? random.below(16) : random.u32();
      if (random.below(2) === 0) rig.cpus.write(offset, size, size === 4 ? value : value % 256 ** size);
      else {
        const read = rig.cpus.read(offset, size);
        expect(Number.isInteger(read) && read >= 0 && read < 256 ** size).toBe(true);
      }
      const cpu = 1 + random.below(3);
      if (random.below(50) === 0 && !rig.present.has(cpu)) rig.add(cpu);
      if (random.below(50) === 0 && rig.present.has(cpu)) rig.cpus.requestRemoval(cpu);
      if (random.below(500) === 0) rig.cpus.load(structuredClone(rig.cpus.save()));
      expect(isPresent()).toBe(true);
    }
    expect(rig.log.some(entry => entry.startsWith('ejected'))).toBe(true);
    expect(rig.log.some(entry => entry.startsWith('noticed'))).toBe(true);
    rig.cpus.reset();
    expect([1, 2, 3].some(cpu => rig.cpus.removing(cpu) || rig.cpus.inserting(cpu))).toBe(false);
  });
});
