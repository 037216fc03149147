import type { CharInput } from '../../devices/backends/char-fields.ts';
import type { LayoutName } from '../../devices/input/layout-names.ts';
import type { DiskInput } from '../fields/disks.ts';
import type { Input } from '../fields/inputs.ts';
import type { NicNetworkInput } from '../fields/networks.ts';
import type { NicInput } from '../fields/nics.ts';
import type { PassthroughInput } from '../fields/passthrough.ts';
import { keyProblems } from '../issues.ts';
import { keyPath } from '../key-path.ts';
import { type Definition, type DefinitionInput, definition } from '../schema.ts';
import { Buses } from './buses.ts';
import type { Connection } from './connection.ts';
import { OptionError, QemuError, type QemuProblem } from './error.ts';
import type { QemuHost } from './host.ts';
import type { LeftOutNote, Place } from './notes.ts';
import { NvmeControllers } from './nvme.ts';
import { OWN_BUSES } from './other-devices.ts';
import { SataControllers } from './sata.ts';
import { ScsiControllers } from './scsi.ts';
import { Settings } from './settings.ts';
import { withWatchdogAction } from './watchdog.ts';

export type { Place } from './notes.ts';

type HubMembers = NonNullable<Extract<NicNetworkInput, { type: 'hub' }>['networks']>;

/** A list entry, and the option that it comes from. */
type From<Entry> = { readonly at: number; readonly option: string; readonly entry: Entry };
/** Something that another option can refer to by its ID. */
type Named<What> = { readonly what: What; readonly option: string; used: boolean };

/** A `-drive`: where its data is, and how it is attached. */
export type Drive = {
  readonly id: string | undefined;
  /** `none`: a `-device` attaches it. */
  readonly bus: 'virtio' | 'scsi' | 'ide' | 'floppy' | 'sd' | 'none';
  /** Its index among the drives of its bus. */
  readonly index?: number | undefined;
  /** Null for a drive without a medium. */
  readonly disk: (Omit<DiskInput, 'bus' | 'file'> & { readonly file: string }) | null;
};

/** A drive that is attached without a -device, and the place of its option if a -device may take it. */
type Attached = { readonly drive: Drive; readonly at: number | null };

/** A -numa node, whose memory may only be known once its memdev= is read. */
export type NumaNode = { readonly id: number; readonly cpus: number[]; bytes: number | undefined };
/** A -numa dist. */
export type NumaDistance = { readonly from: number; readonly to: number; readonly distance: number };

/** A -object memory-backend-*: guest RAM, or part of it. */
export type MemoryBackend = {
  readonly bytes: number;
  readonly hugepages: '2M' | '1G' | undefined;
  readonly mergeable: boolean;
};

/** A card or a network of -net, and the hub that it is on. */
export type LegacyNet<Entry> = From<Entry> & { readonly hub: number };

/** The result of the options so far. */
export class Draft {
  readonly host: QemuHost;
  readonly fields: Partial<DefinitionInput> = {};
  readonly #notes: (LeftOutNote & { readonly at: number })[] = [];
  readonly #disks: (From<DiskInput> & { readonly index?: number | undefined })[] = [];
  readonly #nics: From<NicInput>[] = [];
  readonly #inputs: From<Input>[] = [];
  readonly #passthrough: From<PassthroughInput>[] = [];
  readonly #devices: From<NonNullable<DefinitionInput['devices']>[number]>[] = [];
  readonly #drives = new Map<string, Named<Drive>>();
  readonly #attached = new Map<string, Attached>();
  readonly #networks = new Map<string, Named<Connection>>();
  readonly #randomSources = new Map<string, Named<null>>();
  readonly #memoryBackends = new Map<string, Named<MemoryBackend>>();
  readonly buses = new Buses();
  readonly #chardevs = new Map<string, Named<CharInput | OptionError>>();
  readonly #tpms = new Map<string, Named<string>>();
  readonly #iommufds = new Map<string, Named<null>>();
  readonly #throttleGroups = new Map<string, Named<DiskInput['limits']>>();
  /** IDs of options that are refused: options that refer to them are not wrong themselves. */
  readonly #refused = new Set<string>();
  readonly scsi = new ScsiControllers();
  readonly sata = new SataControllers();
  readonly nvme = new NvmeControllers();
  /** -net's cards and connections, which share hubs. */
  readonly legacyNics: LegacyNet<NicInput>[] = [];
  readonly legacyNetworks: LegacyNet<Connection>[] = [];
  /** The connections of -netdev that -netdev hubport connects to hubs. */
  readonly hubPorts: (Place & { readonly hub: number; readonly member: string })[] = [];
  readonly #hubMembers: (Place & { readonly hub: number; readonly network: NicNetworkInput })[] = [];
  /** The layout of -k. */
  keyboardLayout: LayoutName | null = null;
  /** The values of -serial, in order. */
  readonly serialPorts: (Place & { readonly value: string })[] = [];
  /** The values of -parallel, in order. */
  readonly parallelPorts: (Place & { readonly value: string })[] = [];
  /** -debugcon. */
  debugConsole: (Place & { readonly value: string }) | null = null;
  /** -global isa-debugcon.iobase: the port of debug consoles that set none. */
  debugPort: number | null = null;
  readonly virtioConsoles: (Place & { readonly end: CharInput })[] = [];
  /** The accelerators of -accel, in order. */
  readonly accelerators: (Place & { readonly name: string })[] = [];
  /** The machine is a q35, whose IDE buses are the ports of a SATA controller. */
  isQ35 = false;
  /** The model of network cards for which no option gives one. */
  usualCard: NonNullable<NicInput['model']> = 'e1000';
  /** What watchdogs do; null for their default. */
  watchdogAction: string | null = null;
  /** -snapshot: writes to a drive are discarded at the end, unless the drive has another setting. */
  allTransient = false;
  /** -nodefaults: no serial port and no network card unless requested. */
  noDefaults = false;
  /** -nographic, -machine graphics=off: COM1 is the console of a machine that may have a screen. */
  onSerial = false;
  /** Whether an option configures the guest's networks. */
  saysNetwork = false;
  /** Where -machine, -numa and -mem-path put guest RAM. */
  readonly memoryPlaces: (Place &
    ({ readonly backend: string; readonly placed?: (bytes: number) => void } | { readonly path: string }))[] =
    [];
  /** -numa's nodes and distances. */
  readonly numaNodes: (Place & NumaNode)[] = [];
  readonly numaDistances: (Place & NumaDistance)[] = [];
  /** Drives with firmware, which -machine pflash0= names. */
  readonly flashDrives: (Place & { readonly drive: string; readonly unit: string })[] = [];

  constructor(host: QemuHost) {
    this.host = host;
  }

  /** The settings of an option; those left out are noted. @throws OptionError */
  settings(place: Place, text: string, implied?: string): Settings {
    return new Settings(text, implied, (setting, reason) => this.leaveOut(place, reason, setting));
  }

  /** @param setting of the option; the whole option if absent */
  leaveOut({ at, option }: Place, reason: string, setting: string | null = null): void {
    this.#notes.push({ at, option, settings: setting, reason });
  }

  addDisk(place: Place, entry: DiskInput, index?: number): void {
    this.#disks.push({ ...place, entry, index });
  }

  /** Whether writes to a disk are discarded at the end. */
  isTransient({ file, cdrom, readonly, transient }: DiskInput): boolean {
    const isWritten = file !== undefined && !cdrom && !readonly;
    return isWritten && (transient ?? this.allTransient);
  }

  /** Whether a drive has been given this place on its bus. */
  hasUnit(bus: DiskInput['bus'], unit: number): boolean {
    return this.#disks.some(
      ({ entry, index }) => entry.bus === bus && (entry.addr === String(unit) || index === unit),
    );
  }

  disksOn(bus: string): number {
    return this.#disks.filter(({ entry }) => entry.bus === bus).length;
  }

  addNic(place: Place, entry: NicInput): void {
    this.#nics.push({ ...place, entry });
  }

  /** Connects a network to a hub, with the hub's first card. */
  addHubMember(place: Place, hub: number, network: NicNetworkInput): void {
    this.#hubMembers.push({ ...place, hub, network });
  }

  addInput(place: Place, entry: Input): void {
    this.#inputs.push({ ...place, entry });
  }

  addPassthrough(place: Place, entry: PassthroughInput): void {
    this.#passthrough.push({ ...place, entry });
  }

  addDevice(place: Place, entry: NonNullable<DefinitionInput['devices']>[number]): void {
    this.#devices.push({ ...place, entry });
  }

  nameDrive({ option }: Place, drive: Drive): void {
    if (drive.id === undefined)
      throw new OptionError('a drive with if=none needs an id=, for a -device to name');
    addNamed(this.#drives, drive.id, drive, option);
  }

  nameNetwork({ option }: Place, id: string, network: Connection): void {
    addNamed(this.#networks, id, network, option);
  }

  nameRandomSource({ option }: Place, id: string): void {
    addNamed(this.#randomSources, id, null, option);
  }

  nameMemory({ option }: Place, id: string, backend: MemoryBackend): void {
    addNamed(this.#memoryBackends, id, backend, option);
  }

  nameIommufd({ option }: Place, id: string): void {
    addNamed(this.#iommufds, id, null, option);
  }

  /** Any number of devices may share one. @throws OptionError */
  claimIommufd(id: string): void {
    const named = this.#iommufds.get(id);
    if (named !== undefined) named.used = false;
    this.#claim(this.#iommufds, id, 'iommufd', '-object iommufd,id=');
  }

  nameThrottleGroup({ option }: Place, id: string, limits: DiskInput['limits']): void {
    addNamed(this.#throttleGroups, id, limits, option);
  }

  /** The limits of each disk of a group. @throws OptionError */
  limitsOf(group: string): DiskInput['limits'] {
    const named = this.#throttleGroups.get(group);
    if (named !== undefined) named.used = false;
    return this.#claim(this.#throttleGroups, group, 'throttle-group', '-object throttle-group,id=');
  }

  /**
   * Registers the ID of a drive that needs no -device.
   * @param place given if a -device may name it anyway, as on a machine without such a bus
   */
  nameAttached(drive: Drive & { readonly id: string }, place: Place | null): void {
    this.#attached.set(drive.id, { drive, at: place?.at ?? null });
  }

  /** @throws OptionError */
  claimDrive(id: string, property = 'drive'): Drive {
    const attached = this.#attached.get(id);
    if (attached !== undefined) return this.#takeAttached(id, attached);
    return this.#claim(this.#drives, id, property, '-drive file=...,if=none,id=');
  }

  /** @throws OptionError if the machine has attached it already */
  #takeAttached(id: string, { drive, at }: Attached): Drive {
    const index = at === null ? -1 : this.#disks.findIndex(disk => disk.at === at);
    if (index < 0)
      throw new OptionError(`its drive has if=${drive.bus}: a drive for a -device needs if=none`);
    this.#disks.splice(index, 1);
    this.#attached.set(id, { drive, at: null });
    return drive;
  }

  nameChardev({ option }: Place, id: string, end: CharInput | OptionError): void {
    addNamed(this.#chardevs, id, end, option);
  }

  /** @throws OptionError */
  claimChardev(id: string): CharInput {
    const named = this.#chardevs.get(id);
    // Several ports may write to the terminal, as by mux=on.
    if (named !== undefined && isConsole(named.what)) named.used = false;
    const end = this.#claim(this.#chardevs, id, 'chardev', '-chardev socket,path=...,server=on,id=');
    if (end instanceof OptionError) throw end;
    return end;
  }

  nameTpm({ option }: Place, id: string, chardev: string): void {
    addNamed(this.#tpms, id, chardev, option);
  }

  /** The character device of the TPM's control socket. @throws OptionError */
  claimTpm(id: string): string {
    return this.#claim(this.#tpms, id, 'tpmdev', '-tpmdev emulator,chardev=...,id=');
  }

  /** @throws OptionError */
  claimNetwork(id: string): Connection {
    return this.#claim(this.#networks, id, 'netdev', '-netdev user,id=');
  }

  /** @throws OptionError */
  claimRandomSource(id: string): void {
    this.#claim(this.#randomSources, id, 'rng', '-object rng-random,id=');
  }

  /** @throws OptionError */
  claimMemory(id: string): MemoryBackend {
    return this.#claim(
      this.#memoryBackends,
      id,
      'memory-backend',
      '-object memory-backend-memfd,size=...,id=',
    );
  }

  /** Records that an option that defines something by its ID is refused. */
  refuse({ option }: Place): void {
    for (const [, id] of option.matchAll(/(?<=[ ,{])"?(?:id|node-name)"?[=:]\s*"?([^,"}]+)/g))
      this.#refused.add(id!);
  }

  #claim<What>(all: Map<string, Named<What>>, id: string, property: string, give: string): What {
    const named = all.get(id);
    if (named === undefined) {
      const message = `${property}=${id}: it does not exist: define it with ${give}${id}`;
      throw this.#refused.has(id) ? new RefersToRefused(message) : new OptionError(message);
    }
    if (named.used) throw new OptionError(`${property}=${id} is already used by another option`);
    named.used = true;
    return named.what;
  }

  /** Leaves out what no other option refers to. */
  leaveOutUnused(): void {
    const all = [
      ...[this.#drives, this.#networks, this.#randomSources, this.#memoryBackends, this.#iommufds],
      ...[this.#chardevs, this.#tpms, this.#throttleGroups],
    ];
    for (const named of all) {
      for (const [id, { option, used }] of named) {
        if (!used) this.leaveOut({ at: Number.POSITIVE_INFINITY, option }, `no device uses ${id}`);
      }
    }
    for (const { hub, ...place } of this.#hubMembers) {
      const hasCard = this.#nics.some(({ entry: { network } }) =>
        typeof network === 'object' ? network.type === 'hub' && network.hub === hub : false,
      );
      if (!hasCard) this.leaveOut(place, 'no card is connected to it');
    }
    for (const { place, entry } of this.buses.used()) this.addDevice(place, entry);
    for (const place of this.buses.unused()) this.leaveOut(place, OWN_BUSES);
    for (const result of this.nvme.result()) {
      if ('disk' in result) this.addDisk(result.place, result.disk);
      else this.addDevice(result.place, result.device);
    }
    for (const place of this.nvme.unused) this.leaveOut(place, 'it has no namespaces');
    for (const { place, entry } of this.scsi.listed()) this.addDevice(place, entry);
    if (this.disksOn('scsi') > 0) return;
    for (const place of this.scsi.unused()) this.leaveOut(place, 'it has no disks');
  }

  #onItsBus(disk: IndexedDisk): IndexedDisk {
    return this.isQ35 && disk.entry.bus === 'ide' ? { ...disk, entry: { ...disk.entry, bus: 'sata' } } : disk;
  }

  #finishedDisk(disk: IndexedDisk): IndexedDisk {
    const placed = this.#onItsBus(disk);
    return { ...placed, entry: { ...placed.entry, transient: this.isTransient(placed.entry) } };
  }

  /** The cards, in order; the first of each hub has the networks that are connected to it. */
  #connectedNics(): From<NicInput>[] {
    const left = new Set(this.#hubMembers);
    return inOrder(this.#nics).map(given => {
      const nic = { ...given, entry: { model: this.usualCard, ...given.entry } };
      const { network } = nic.entry;
      if (typeof network !== 'object' || network.type !== 'hub') return nic;
      const members = [...left].filter(({ hub }) => hub === network.hub);
      for (const member of members) left.delete(member);
      if (members.length === 0) return nic;
      const networks = members.map(({ network }) => network) as HubMembers;
      return { ...nic, entry: { ...nic.entry, network: { ...network, networks } } };
    });
  }

  /** What was left out, in the order of the command line; settings of one option with the same reason are grouped. */
  get notes(): LeftOutNote[] {
    const joined = new Map<string, LeftOutNote>();
    for (const { option, settings, reason } of this.#notes.toSorted((a, b) => a.at - b.at)) {
      const key = `${option}\n${reason}`;
      const before = joined.get(key)?.settings;
      const both = before && settings ? `${before}, ${settings}` : settings;
      joined.set(key, { option, settings: both, reason });
    }
    return [...joined.values()];
  }

  /** @param given the options that the keys come from. @throws QemuError */
  finish(name: string, given: Readonly<Record<string, string>>): Definition {
    const lists = {
      disks: byIndex(inOrder(this.#disks.map(disk => this.#finishedDisk(disk)))),
      nics: this.#connectedNics(),
      inputs: inOrder(this.#inputs),
      passthrough: inOrder(this.#passthrough),
      devices: inOrder(this.#devices).map(device => ({
        ...device,
        entry: withWatchdogAction(device.entry, this.watchdogAction),
      })),
    };
    const entries = Object.fromEntries(
      Object.entries(lists).map(([key, list]) => [key, list.map(({ entry }) => entry)]),
    );
    // A QEMU machine only has a random number device if it is given one.
    const input = { name, rng: false, ...this.fields, ...entries };
    const parsed = definition.safeParse(input, { reportInput: true });
    if (parsed.success) return parsed.data;
    throw new QemuError(
      keyProblems(parsed.error.issues, input).map(({ path, message }): QemuProblem => {
        const [key, index] = path;
        const list = lists[key as keyof typeof lists];
        const option = list?.[Number(index)]?.option ?? given[String(key)] ?? String(key);
        return { option, message: `${keyPath(path)}: ${message}` };
      }),
    );
  }
}

/** Thrown for an option that refers to a refused one, which is reported already. */
export class RefersToRefused extends OptionError {}

function addNamed<What>(all: Map<string, Named<What>>, id: string, what: What, option: string): void {
  if (all.has(id)) throw new OptionError(`id=${id} is already in use: choose another`);
  all.set(id, { what, option, used: false });
}

function isConsole(end: CharInput | OptionError): boolean {
  return end === 'console' || (typeof end === 'object' && 'type' in end && end.type === 'console');
}

function inOrder<Entry extends Place>(list: readonly Entry[]): Entry[] {
  return list.toSorted((a, b) => a.at - b.at);
}

type IndexedDisk = From<DiskInput> & { readonly index?: number | undefined };

/** Buses on which the index of a disk is its place. */
const HAS_UNITS: ReadonlySet<DiskInput['bus']> = new Set(['ide', 'sata', 'floppy']);

/** Sorts the disks of each bus by index; a disk without one gets the first free index. */
function byIndex(disks: readonly IndexedDisk[]): IndexedDisk[] {
  const sorted = disks.map(disk =>
    HAS_UNITS.has(disk.entry.bus) && disk.entry.addr !== undefined
      ? { ...disk, index: Number(disk.entry.addr) }
      : disk,
  );
  for (const bus of new Set(disks.map(({ entry }) => entry.bus))) {
    const places = disks.flatMap(({ entry }, at) => (entry.bus === bus ? [at] : []));
    const ofBus = places.map(at => sorted[at]!);
    const taken = new Set(ofBus.map(({ index }) => index));
    let free = 0;
    const indexed = ofBus.map(disk => {
      if (disk.index !== undefined) return { disk, index: disk.index };
      while (taken.has(free)) free++;
      return { disk, index: free++ };
    });
    indexed.sort((a, b) => a.index - b.index);
    for (const [rank, at] of places.entries()) {
      const { disk, index } = indexed[rank]!;
      sorted[at] = HAS_UNITS.has(bus) ? { ...disk, entry: { addr: String(index), ...disk.entry } } : disk;
    }
  }
  return sorted;
}
