import { beforeEach, describe, expect, test } from 'vitest';
import { deviceConfig } from '../../../src/devices/device-config.ts';
import type { BuiltDevice } from '../../../src/devices/device-type.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { parseStats } from '../../../src/devices/virtio/balloon/stats-queue.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { type DriverQueue, GuestDriver, STATUS, VERSION_1 } from './guest-driver.ts';

const MiB = 2 ** 20;
const PAGE = 4096;
const MUST_TELL_HOST = 1n << 0n;
const STATS = 1n << 1n;
const DEFLATE_ON_OOM = 1n << 2n;
const POISON = 1n << 4n;
const REPORTING = 1n << 5n;
const BUFFER = 0x8000;

let machine: FakeMachine;
let built: BuiltDevice;
let driver: GuestDriver;

beforeEach(() => {
  machine = new FakeMachine();
});

function plug(options = {}): void {
  const config = deviceConfig.parse({ type: 'virtio-balloon', ...options });
  built = deviceTable.create(machine.services, config, 'balloon0');
  machine.pci.plug(built.pci!);
  machine.pci.assign();
  driver = new GuestDriver(machine, 1);
}

const control = () => built.capabilities!.balloon!;
const readConfig = (offset: number) => driver.read(driver.device!.address + offset, 4);
const writeConfig = (offset: number, value: number) =>
  driver.write(driver.device!.address + offset, 4, value);

function start(features: bigint, poison = 0): DriverQueue[] {
  driver.negotiate(VERSION_1 | features);
  if (features & POISON) writeConfig(12, poison);
  const count = driver.get16(0x12);
  const queues = Array.from({ length: count }, (_, index) => driver.queue(index, 8, 0x1000 * (index + 1)));
  for (const queue of queues) queue.enable();
  driver.driverOk();
  return queues;
}

const roles = () =>
  [...machine.discards.running.values()].map(({ queue, options }) => [queue.index, options.role]);

describe('virtio-balloon', () => {
  test('offers what its options turn on', () => {
    plug();
    expect(driver.offered & 0xffffffn).toBe(MUST_TELL_HOST | STATS | DEFLATE_ON_OOM | POISON);
    machine = new FakeMachine();
    plug({ 'deflate-on-oom': false, 'free-page-reporting': true, 'page-poison': false });
    expect(driver.offered & 0xffffffn).toBe(MUST_TELL_HOST | STATS | REPORTING);
  });

  test('serves each queue for the purpose that its driver uses it for', () => {
    plug({ 'free-page-reporting': true });
    start(STATS | REPORTING);
    expect(roles()).toEqual([
      [0, 'inflate'],
      [1, 'deflate'],
      [3, 'report'],
    ]);
    // Without statistics, drivers number the reporting queue 2.
    start(REPORTING);
    expect(roles().slice(0, 3)).toEqual([
      [0, 'inflate'],
      [1, 'deflate'],
      [2, 'report'],
    ]);
  });

  test('shows the target to the driver, and its progress to the user', () => {
    plug({ target: MiB });
    expect(readConfig(0)).toBe(0);
    start(STATS);
    let changes = 0;
    control().onChanged(() => changes++);
    driver.enableMsix(4);
    control().setTarget(MiB - 10 * PAGE);
    expect(readConfig(0)).toBe(10);
    expect(control().facts).toMatchObject({
      memory: MiB,
      target: MiB - 10 * PAGE,
      current: MiB,
      active: true,
    });
    writeConfig(4, 3);
    expect(control().facts.current).toBe(MiB - 3 * PAGE);
    // A driver may report anything.
    writeConfig(4, 0xffff_ffff);
    expect(control().facts.current).toBe(0);
    expect(changes).toBeGreaterThan(1);
    // The target is the host's; the driver has its pages back.
    driver.status = 0;
    expect([readConfig(0), readConfig(4)]).toEqual([10, 0]);
    expect(control().facts).toMatchObject({ target: MiB - 10 * PAGE, current: MiB, active: false });
  });

  test('rejects more memory than the VM has, and less if the host could not reclaim any', () => {
    plug();
    expect(() => control().setTarget(2 * MiB)).toThrow('the VM has 1M of memory');
    machine.discards.obstacle = 'has huge pages, which stay reserved for it';
    expect(() => control().setTarget(MiB / 2)).toThrow('its memory has huge pages');
    expect(control().facts).toMatchObject({ target: MiB, obstacle: machine.discards.obstacle });
    control().setTarget(MiB);
  });

  test('requests statistics periodically', () => {
    plug({ 'guest-stats-polling-interval': 5 });
    const stats = start(STATS)[2]!;
    const offer = (free: number) => {
      const { memory } = machine;
      memory.writeU16(BUFFER, 4);
      memory.writeU64(BUFFER + 2, BigInt(free));
      memory.writeU16(BUFFER + 10, 77);
      memory.writeU64(BUFFER + 12, 1n);
      stats.add({ address: BUFFER, length: 24 });
      stats.kick();
      machine.eventFds.settle();
    };
    machine.eventFds.settle();
    offer(1000);
    expect(control().facts.stats).toEqual({ at: machine.clock.wallMs(), free: 1000 });
    machine.clock.advance(4_000);
    expect(stats.collect()).toEqual([]);
    machine.clock.advance(2_000);
    expect(stats.collect()).toHaveLength(1);
    offer(2000);
    expect(control().facts.stats?.free).toBe(2000);
    // One that a pause interrupts is kept.
    built.device.quiesce!(() => {});
    machine.clock.advance(20_000);
    expect(stats.collect()).toEqual([]);
    built.device.resume!();
    machine.eventFds.settle();
    machine.clock.advance(6_000);
    expect(stats.collect()).toHaveLength(1);
  });

  test('reads statistics as far as they are valid', () => {
    const bytes = new Uint8Array(10 * 3 + 4);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, 6, true);
    view.setBigUint64(2, 5n, true);
    view.setUint16(10, 5, true);
    view.setBigUint64(12, 2n ** 64n - 1n, true);
    view.setUint16(20, 0xffff, true);
    expect(parseStats(bytes, 9)).toEqual({ at: 9, available: 5 });
  });

  test.each([
    ['fills free pages', 0xaa, true],
    ['has memory of a snapshot behind it', 0, false],
  ])('discards no reported page of a guest that %s', (_what, poison, leavesZeros) => {
    machine.discards.leavesZeros = leavesZeros;
    plug({ 'free-page-reporting': true });
    const report = start(STATS | REPORTING | POISON, poison)[3]!;
    expect(roles()).toEqual([
      [0, 'inflate'],
      [1, 'deflate'],
    ]);
    report.add({ address: BUFFER, length: PAGE, write: true });
    report.kick();
    machine.eventFds.settle();
    expect(report.collect()).toEqual([{ head: 0, written: 0 }]);
    // The poison value cannot change while the device uses it.
    writeConfig(12, 0);
    expect(readConfig(12)).toBe(poison);
    expect(driver.status & STATUS.needsReset).toBe(0);
  });

  test('keeps its target in a saved state, and rejects a state with more memory', () => {
    plug();
    start(STATS);
    control().setTarget(MiB / 2);
    writeConfig(4, 7);
    built.device.quiesce!(() => {});
    const state = built.device.save();
    machine = new FakeMachine();
    plug();
    built.device.quiesce!(() => {});
    built.device.load(state);
    expect(control().facts).toMatchObject({ target: MiB / 2, current: MiB - 7 * PAGE });
    const device = { ...(state.device as object), target: 2 * MiB };
    expect(() => built.device.load({ ...state, device })).toThrow('target');
  });

  test('keeps pages that wait for adjacent ones until its driver resets it', () => {
    plug();
    start(0n);
    machine.discards.waiting = Uint8Array.of(1, 2);
    // Queues stop and start again.
    built.device.quiesce!(() => {});
    const state = built.device.save();
    built.device.resume!();
    expect(machine.discards.waiting).toEqual(Uint8Array.of(1, 2));
    // It has its pages back, and can use them.
    driver.status = 0;
    expect(machine.discards.waiting).toHaveLength(0);

    machine = new FakeMachine();
    plug();
    built.device.quiesce!(() => {});
    built.device.load(state);
    expect(machine.discards.waiting).toEqual(Uint8Array.of(1, 2));
    const saved = state.device as Record<string, unknown>;
    const load = (changed: object) =>
      built.device.load({ ...state, device: { ...saved, ...changed } } as typeof state);
    expect(() => load({ waiting: Uint8Array.of(1, 2, 3) })).toThrow('set of pages "waiting"');
    expect(() => load({ waiting: 7 })).toThrow('bytes "waiting"');
    // Of a version that had none in its states.
    const { waiting: _, ...older } = saved;
    built.device.load({ ...state, device: older } as typeof state);
    expect(machine.discards.waiting).toHaveLength(0);

    machine.discards.waiting = Uint8Array.of(1, 2);
    built.device.close!();
    expect(machine.discards.waiting).toHaveLength(0);
  });
});
