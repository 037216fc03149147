import type { DeviceConfig, DeviceTable } from './device-table.ts';
import type { BusAddress, BusKind, DeviceType } from './device-type.ts';
import { MAX_LUN } from './scsi/scsi-host.ts';

/** The place of a device of a configuration. */
export type DevicePlace = {
  /** `pci.0`, or the name of the device that provides it. */
  readonly bus: string;
  /** Null if the bus chooses. */
  readonly address: BusAddress | null;
};

/** An option that places a device where it cannot be. */
export type PlaceProblem = {
  /** The entry's index. */
  readonly index: number;
  readonly option: 'name' | 'bus' | 'addr';
  /** One sentence, without its period. */
  readonly message: string;
};

export type DevicePlaces = {
  /** By entry; invalid for entries with a problem. */
  readonly places: readonly DevicePlace[];
  readonly problems: readonly PlaceProblem[];
};

/** A bus that entries may name. `provider`: the entry that provides it, -1 for the buses of every machine. */
type NamedBus = {
  readonly names: readonly string[];
  readonly kind: BusKind;
  readonly first: number;
  readonly units: number;
  readonly provider: number;
};

/** The buses of every machine, with QEMU's names. The host bridge is in slot 0. */
const ROOTS: readonly NamedBus[] = [
  { names: ['pci.0', 'pcie.0'], kind: 'pci', first: 1, units: 31, provider: -1 },
  { names: ['isa.0'], kind: 'isa', first: 0, units: 0, provider: -1 },
];

const PCI_ADDRESS = /^(?:0x)?([0-9a-f]{1,2})(?:\.([0-7]))?$/i;
const SCSI_ADDRESS = /^(\d{1,3})(?::(\d{1,5}))?$/;
const UNIT = /^(\d{1,4})$/;

/**
 * The places of a configuration's devices, from their options `bus` and `addr`. Entries of unknown types are skipped.
 * @param rootPorts the number of root ports that are not devices
 */
export function placeDevices(
  table: DeviceTable,
  configs: readonly DeviceConfig[],
  rootPorts = 0,
): DevicePlaces {
  const problems: PlaceProblem[] = [];
  const rows = configs.map(({ type }) => table.find(type));
  const buses: NamedBus[] = [
    ...ROOTS,
    ...Array.from({ length: rootPorts }, (_, index) => portBus(index + 1)),
  ];
  const names = namesOf(table, configs);
  rows.forEach((row, provider) => {
    const name = names[provider];
    if (row?.provides && name !== undefined) buses.push({ names: [name], ...row.provides, provider });
  });
  const room = new BusRoom(buses, configs);
  const places = configs.map((config, index): DevicePlace => {
    const row = rows[index];
    if (row === undefined) return NOWHERE;
    const problem = (option: PlaceProblem['option'], message: string) => {
      problems.push({ index, option, message });
      return NOWHERE;
    };
    const bus = busOf(table, row, config.bus, room);
    if (typeof bus === 'string') return problem('bus', bus);
    const address = addressOf(bus, config.addr);
    if (typeof address === 'string') return problem('addr', address);
    return { bus: bus.names[0]!, address };
  });
  problems.push(
    ...sameName(configs, table.builtinNames(configs)),
    ...conflicts(configs, places, rows),
    ...circles(configs, places),
  );
  return { places, problems: problems.sort((a, b) => a.index - b.index) };
}

/** The free places on buses, for devices that name no bus. */
class BusRoom {
  readonly buses: readonly NamedBus[];
  readonly #taken: Map<NamedBus, number>;

  constructor(buses: readonly NamedBus[], configs: readonly DeviceConfig[]) {
    this.buses = buses;
    const named = (bus: NamedBus) =>
      configs.filter(config => config.bus !== undefined && bus.names.includes(config.bus)).length;
    this.#taken = new Map(buses.map(bus => [bus, named(bus)]));
  }

  /** Takes a place on the first of these buses that has one. On PCI the chipset adds more when a bus is full. */
  take(suitable: readonly NamedBus[]): NamedBus | undefined {
    const [first] = suitable;
    const taken = (bus: NamedBus) => this.#taken.get(bus) ?? 0;
    const bus = first?.kind === 'pci' ? first : (suitable.find(bus => taken(bus) < bus.units) ?? first);
    if (bus !== undefined) this.#taken.set(bus, taken(bus) + 1);
    return bus;
  }
}

/** The bus behind a root port that is not a device. */
function portBus(number: number): NamedBus {
  return { names: [`root-port.${number}`], kind: 'pci', first: 0, units: 1, provider: -1 };
}

/** The place that an address such as 05.1 stands for, in the syntax of `addr`; null for invalid text. */
export function parsePciAddress(text: string): BusAddress | null {
  const match = PCI_ADDRESS.exec(text);
  if (match === null) return null;
  const unit = Number.parseInt(match[1]!, 16);
  return unit < 32 ? { unit, function: Number(match[2] ?? 0) } : null;
}

/** The same as text: `05.1`. */
export function pciAddressText({ unit, function: fn }: BusAddress): string {
  return `${unit.toString(16).padStart(2, '0')}.${fn}`;
}

/**
 * The address of a device on a bus of this kind, in the syntax of `addr`: `05.1`, target and unit `3:0`, or a number.
 */
export function addressText(kind: BusKind, address: BusAddress): string {
  if (kind === 'pci') return pciAddressText(address);
  return kind === 'scsi' ? `${address.unit}:${address.function}` : String(address.unit);
}

/** The names of the devices; those without a name get their default name, unless something is wrong with the others. */
function namesOf(table: DeviceTable, configs: readonly DeviceConfig[]): readonly (string | undefined)[] {
  try {
    return table.names(configs);
  } catch {
    return configs.map(({ name }) => name);
  }
}

const NOWHERE: DevicePlace = { bus: '', address: null };

/** @returns the bus of an entry, or what is wrong with its `bus` */
function busOf(
  table: DeviceTable,
  { type, bus: kind }: DeviceType,
  given: string | undefined,
  room: BusRoom,
): NamedBus | string {
  const { buses } = room;
  const suitable = buses.filter(bus => bus.kind === kind);
  const names = suitable.map(bus => bus.names[0]!).join(', ');
  const providers = table.rows.filter(({ provides }) => provides?.kind === kind);
  const advice =
    suitable.length === 0
      ? `add a device that provides one (${providers.map(({ type }) => type).join(' or ')}), with a name`
      : `those of kind ${kind} are ${names}`;
  if (given === undefined) return room.take(suitable) ?? `there is no ${kind} bus for it: ${advice}`;
  const bus = buses.find(bus => bus.names.includes(given));
  if (bus === undefined) return `there is no bus "${given}": ${advice}`;
  if (bus.kind !== kind)
    return `${given} is a bus for ${bus.kind} devices, and ${type} is a ${kind} device: ${advice}`;
  return bus;
}

/** @returns the address of an entry on its bus, or what is wrong with its `addr` */
function addressOf(bus: NamedBus, given: string | undefined): BusAddress | null | string {
  if (given === undefined) return null;
  const { kind, first, units, names } = bus;
  if (units === 0) return `${kind} devices have no address: remove it`;
  const { pattern, expected } = ADDRESSES[kind === 'pci' || kind === 'scsi' ? kind : 'unit'];
  const match = pattern.exec(given);
  if (match === null) return `expected ${expected}, not "${given}"`;
  const unit = Number.parseInt(match[1]!, kind === 'pci' ? 16 : 10);
  if (unit < first || unit >= first + units) {
    if (bus.provider < 0 && unit === 0 && first === 1)
      return `slot 0 of ${names[0]} has the host bridge: choose another`;
    const range = [first, first + units - 1].map(number => number.toString(kind === 'pci' ? 16 : 10));
    return units === 1
      ? `${names[0]} has only one place, ${range[0]}`
      : `${names[0]} has the places ${range.join(' to ')}, not ${unit.toString(kind === 'pci' ? 16 : 10)}`;
  }
  const fn = Number(match[2] ?? 0);
  if (kind === 'scsi' && fn > MAX_LUN) return `a target has the units 0 to ${MAX_LUN}, not ${fn}`;
  return { unit, function: fn };
}

/** The address syntax of each kind of bus. */
const ADDRESSES = {
  pci: {
    pattern: PCI_ADDRESS,
    expected: 'a slot, and a function if it is not 0, in hexadecimal, such as 05 or 05.1',
  },
  scsi: { pattern: SCSI_ADDRESS, expected: 'a target, and a unit if it is not 0, such as 3 or 3:1' },
  unit: { pattern: UNIT, expected: 'the number of a unit, such as 0' },
} as const;

function sameName(configs: readonly DeviceConfig[], builtin: readonly string[]): PlaceProblem[] {
  return configs.flatMap(({ name }, index) => {
    if (name !== undefined && builtin.includes(name)) {
      const message = `every machine has a device named "${name}": choose another name`;
      return [{ index, option: 'name', message } as const];
    }
    const isTaken = configs.slice(0, index).some(other => other.name !== undefined && other.name === name);
    const message = `another device is named "${name}": rename one`;
    return isTaken ? [{ index, option: 'name', message } as const] : [];
  });
}

function conflicts(
  configs: readonly DeviceConfig[],
  places: readonly DevicePlace[],
  rows: readonly (DeviceType | undefined)[],
): PlaceProblem[] {
  const taken = new Map<string, DeviceConfig>();
  const key = (bus: string, unit: number, fn: number) => `${bus} ${unit}.${fn}`;
  const found = places.flatMap(({ bus, address }, index): PlaceProblem[] => {
    if (address === null) return [];
    const place = key(bus, address.unit, address.function);
    const other = taken.get(place);
    taken.set(place, other ?? configs[index]!);
    if (other === undefined) return [];
    const who = other.name === undefined ? `another device (${other.type})` : `"${other.name}"`;
    return [{ index, option: 'addr', message: `${who} is at this address of ${bus}: choose another` }];
  });
  const withoutFirst = places.flatMap(({ bus, address }, index): PlaceProblem[] => {
    if (address === null || address.function === 0 || taken.has(key(bus, address.unit, 0))) return [];
    if (rows[index]?.bus !== 'pci') return [];
    const slot = address.unit.toString(16).padStart(2, '0');
    const message = `nothing is at ${slot}.0 of ${bus}, and guests look for other functions only if it is there: place a device at ${slot}.0`;
    return [{ index, option: 'addr', message }];
  });
  return [...found, ...withoutFirst];
}

/** Devices that are, directly or not, on their own bus. */
function circles(configs: readonly DeviceConfig[], places: readonly DevicePlace[]): PlaceProblem[] {
  return places.flatMap((_, index): PlaceProblem[] => {
    let at = index;
    for (let steps = 0; steps <= places.length; steps++) {
      const { bus } = places[at]!;
      at = configs.findIndex(({ name }) => name !== undefined && name === bus);
      if (at < 0) return [];
    }
    return [{ index, option: 'bus', message: 'it would be behind itself: choose another bus' }];
  });
}
