import * as zod from 'zod';
import type { AccessSize, DeviceState, StateValue } from '../../src/devices/device.ts';
import type { AnyConfigurable, DeviceRow } from '../../src/devices/device-table.ts';
import type { BuiltDevice } from '../../src/devices/device-type.ts';
import { deviceTable } from '../../src/devices/registry.ts';

import { FakeBlockBackend } from './fake-block-backend.ts';
import { FakeMachine } from './fake-machine.ts';
import { FakeMemory } from './fake-memory.ts';
import type { Random } from './random.ts';

const MiB = 2 ** 20;
const SIZES = [1, 2, 4] as const;

/** Occasionally starts a device as its driver would, in ways that garbage would not hit by chance. */
export type Driver = (rig: DeviceRig, random: Random) => void;

/** A device of a row in a machine without KVM, accessed as by a guest. */
export class DeviceRig {
  readonly machine: FakeMachine;
  readonly disk = new FakeBlockBackend();
  readonly built: BuiltDevice;
  /** The device whose bus it is on, if that is not the machine's own; it does not run. */
  readonly #provider: BuiltDevice | null;
  readonly #driver: Driver | undefined;

  /**
   * @param options of a configurable row, besides its type. @param diskBytes size of the disk that it opens, if it
   * does not accept every size
   */
  constructor(
    row: DeviceRow,
    options: Readonly<Record<string, unknown>> = {},
    driver?: Driver,
    diskBytes?: number,
  ) {
    if (diskBytes !== undefined) this.disk.size = diskBytes;
    this.#driver = driver;
    this.machine = new FakeMachine(new FakeMemory(MiB));
    this.machine.disk = this.disk;
    const { services, chipset } = this.machine;
    const provider = deviceTable.configurable.find(({ provides }) => provides?.kind === row.bus);
    const isBehind = row.bus !== 'pci' && provider !== undefined;
    this.#provider = isBehind ? createConfigured(provider, services, { type: provider.type }) : null;
    if (this.#provider !== null) chipset.attach({ type: provider!, built: this.#provider });
    this.built =
      row.builtin === true
        ? row.create(services)
        : createConfigured(row, services, { ...options, type: row.type });
    const place = this.#provider && { bus: this.#provider.device.name, address: null };
    chipset.attach({ type: row, built: this.built, ...(place && { place }) });
    chipset.pci.assign();
  }

  get device() {
    return this.built.device;
  }

  /** Quiesces the device, whose back ends all answer. */
  quiesce(): void {
    let stopped = false;
    this.device.quiesce?.(() => {
      stopped = true;
    });
    this.disk.release();
    this.disk.port?.release();
    this.machine.network.release();
    if (this.device.quiesce !== undefined && !stopped) throw new Error(`${this.device.name} does not stop`);
  }

  /** Resets it as a machine does. */
  reset(): void {
    this.#provider?.device.reset();
    this.device.reset();
    this.machine.pci.reset();
  }

  /** Closes it as an ending machine does. */
  close(): void {
    this.device.close?.();
    this.#provider?.device.close?.();
  }

  /** The whole state, including that of its PCI function. */
  save(): DeviceState {
    return structuredClone(this.device.save());
  }

  /**
   * Acts as a guest that writes garbage to everything that belongs to the device, and reads it, while time passes.
   * @returns the values read
   * @throws if a read has more bits than it may
   */
  garbage(random: Random, accesses: number): number[] {
    const seen: number[] = [];
    for (let i = 0; i < accesses; i++) {
      const size = random.pick(SIZES);
      const place = this.#place(random, size);
      if (place === null) this.#driver?.(this, random);
      else if (random.below(2) === 0) place.write(garbageValue(random, size));
      else seen.push(checked(place.read(), size));
      if (random.below(100) === 0) this.#driver?.(this, random);
      if (random.below(16) === 0) this.machine.clock.advance(random.below(30));
      if (random.below(4) === 0) this.#turn();
    }
    return seen;
  }

  /** Host activity in between: eventfds are read, back ends answer. */
  #turn(): void {
    this.disk.release();
    this.disk.port?.step();
    this.machine.network.release();
    this.machine.eventFds.turn();
  }

  /** Null for a device that a guest accesses through another one. */
  #place(random: Random, size: AccessSize): { read(): number; write(value: number): void } | null {
    const { ports: portBus, memoryBus, pci } = this.machine;
    const { ports = [], pci: fn } = this.built;
    if (fn === undefined && ports.length === 0) return null;
    const config = fn !== undefined && (ports.length === 0 || random.below(2) === 0);
    if (!config) {
      const range = random.pick(ports);
      const port = range.start + random.below(range.size);
      return { read: () => portBus.read(port, size), write: value => portBus.write(port, size, value) };
    }
    const bar = random.pick([null, ...fn.bars, ...fn.bars, ...fn.bars]);
    if (bar !== null && bar.address !== null) {
      const bus = bar.space === 'port' ? portBus : memoryBus;
      // Usually where there are registers.
      const offset = random.below(bar.size >>> random.pick([0, 0, 3, 6])) & ~(size - 1);
      const address = bar.address + offset;
      return { read: () => bus.read(address, size), write: value => bus.write(address, size, value) };
    }
    const { slot, function: number } = fn.place;
    const devfn = 8 * slot + number;
    const offset = random.below(256) & ~(size - 1);
    return {
      read: () => pci.readConfig(0, devfn, offset, size),
      write: value => {
        pci.writeConfig(0, devfn, offset, size, value);
        // Let the guest find the BARs again.
        if (random.below(4) > 0) pci.assign();
      },
    };
  }
}

function createConfigured(
  row: AnyConfigurable,
  services: FakeMachine['services'],
  config: Readonly<Record<string, unknown>>,
): BuiltDevice {
  return row.create(services, row.config(zod).parse(config), `${row.prefix}0`);
}

function garbageValue(random: Random, size: AccessSize): number {
  const mask = size === 4 ? 0xffff_ffff : 2 ** (8 * size) - 1;
  const edge = random.pick([0, 1, 2, 3, 4, 8, 15, 0xffff_ffff, 0x8080_8080, random.below(256), random.u32()]);
  return (edge & mask) >>> 0;
}

function checked(value: number, size: AccessSize): number {
  const limit = 2 ** (8 * size);
  if (Number.isInteger(value) && value >= 0 && value < limit) return value;
  throw new Error(`a read of ${size} bytes gave ${value}`);
}

/** The state with one value, anywhere in it, replaced, removed or added. */
export function damaged(state: DeviceState, random: Random): DeviceState {
  const copy = structuredClone(state);
  const places: { in: DeviceState | StateValue[]; key: string | number }[] = [];
  const visit = (value: StateValue, holder: DeviceState | StateValue[], key: string | number) => {
    places.push({ in: holder, key });
    if (Array.isArray(value))
      value.forEach((item, index) => {
        visit(item, value, index);
      });
    else if (isPlain(value)) for (const [name, item] of Object.entries(value)) visit(item, value, name);
  };
  for (const [key, value] of Object.entries(copy)) visit(value, copy, key);
  if (places.length === 0) return { ...copy, [`${random.u32()}`]: random.u32() };
  const place = random.pick(places);
  const holder = place.in as Record<string | number, StateValue>;
  const what = random.below(8);
  if (what === 0) delete holder[place.key];
  else if (what === 1) holder[`extra${random.u32()}`] = random.u32();
  else holder[place.key] = damagedValue(holder[place.key]!, random);
  return copy;
}

function damagedValue(value: StateValue, random: Random): StateValue {
  if (random.below(3) > 0) {
    if (typeof value === 'number') return near(value, random);
    if (typeof value === 'bigint') return value + BigInt(near(0, random)) * 2n ** BigInt(random.below(64));
    if (value instanceof Uint8Array) return damagedBytes(value, random);
    if (typeof value === 'boolean') return !value;
    if (Array.isArray(value) && value.length > 0) {
      return random.pick([value.slice(1), [...value, value[0]!], [...value].reverse()]);
    }
  }
  return random.pick<StateValue>([
    ...[null, true, '', '__proto__', 'garbage', 0, -1, 0.5, NaN, Infinity, 2 ** 53, 2 ** 64, -0],
    ...[0n, -1n, 2n ** 63n, 2n ** 200n],
    ...[new Uint8Array(), new Uint8Array(random.below(70_000)), [], [{}], [null], {}],
  ]);
}

function near(value: number, random: Random): number {
  return random.pick([
    ...[
      value + 1,
      value - 1,
      -value,
      value * 2,
      value ^ (1 << random.below(31)),
      random.u32(),
      random.below(256),
    ],
    ...[0xff, 0xffff, 0xffff_ffff, 2 ** 32],
  ]);
}

function damagedBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  switch (random.below(4)) {
    case 0:
      return copy.slice(1);
    case 1:
      return Uint8Array.from([...copy, random.below(256)]);
    case 2:
      return copy.map(() => random.below(256));
    default:
      for (let i = 0; i < 4 && copy.length > 0; i++) copy[random.below(copy.length)] = random.below(256);
      return copy;
  }
}

function isPlain(value: StateValue): value is DeviceState {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}
