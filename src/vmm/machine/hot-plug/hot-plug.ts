import type { Cancel, Device } from '../../../devices/device.ts';
import {
  type BuiltDevice,
  type BusAddress,
  type DeviceBus,
  isHotpluggable,
} from '../../../devices/device-type.ts';
import type { PciFunction } from '../../../devices/pci/pci-function.ts';
import type { PciHotplug } from '../../../devices/pci/pci-hotplug.ts';
import { addressText } from '../../../devices/places.ts';
import type { GivenWire } from '../../backends/net/given-wires.ts';
import type { ChipsetPart } from '../../chipset/chipset.ts';
import { close } from '../../native/libc.ts';
import type { GivenDevice } from '../../vfio/given-devices.ts';
import { reasonOf } from '../device-modules.ts';
import type { HostFiles } from '../host-files.ts';
import type { Machine } from '../life-cycle.ts';
import { diskOfFacts, type PlugArguments, type PluggedIn } from '../messages.ts';
import type { DeviceLabel } from '../topology.ts';
import { freePlace } from './free-place.ts';
import { creationServices } from './undo.ts';

/** If repeated sooner, a request could mean to the guest that the device stays (PCI Express Base 4.0 §6.7.1.5). */
const REPEAT_AFTER_NS = 6_000_000_000n;
/** How long a removed device may take to finish the host's requests before the user is warned. */
const CLOSES_WITHIN_NS = 2_000_000_000n;

export type HotPlugOptions = {
  readonly machine: Machine;
  readonly files: HostFiles;
  readonly deviceModules: readonly string[];
  /** Why the devices must not change now; null if they may. */
  readonly busy: () => string | null;
  /** Called when devices have been added or removed, or removal has been requested. */
  readonly changed: () => void;
  readonly happened: (level: 'info' | 'warning', text: string) => void;
};

/** The fds that come with a device. */
export type GivenToPlug = {
  /** Of its disk; null if none arrived. */
  readonly disk: readonly number[] | null;
  readonly hostDevices: readonly GivenDevice[];
  /** Its network, if one arrived. */
  readonly wires?: readonly GivenWire[];
  /** Of its ROM; null if none arrived. */
  readonly rom?: number | null;
};

/** Called once: with null, or with the reason for the failure. */
type Done = (error: string | null) => void;

/** A device that the guest has been asked to release. */
type Request = {
  /** Milliseconds since 1970. */
  readonly since: number;
  /** When the guest was last asked, by the machine's clock. */
  askedAt: bigint;
  readonly waiting: Done[];
};

/** Plugs and unplugs devices while their machine runs. */
export class HotPlug {
  readonly #options: HotPlugOptions;
  /** By name. */
  readonly #requests = new Map<string, Request>();
  /** Names of devices for which guest memory is being mapped. */
  readonly #mapping = new Set<string>();
  /** Removed devices whose back ends have not finished, with the callbacks for when they have. */
  readonly #closing = new Map<Device, Done[]>();

  constructor(options: HotPlugOptions) {
    this.#options = options;
    for (const { hotplug } of this.#chipset.hotplugs)
      hotplug.onReleased = functions => this.#released(functions);
  }

  get #chipset() {
    return this.#options.machine.parts.chipset;
  }

  /**
   * Plugs in a device. A failure leaves nothing behind.
   * @param given what came with the command, which this object takes over
   * @param done called once, possibly later: guest memory is mapped for a host device while the guest runs
   */
  plug(plugged: PlugArguments, given: GivenToPlug, done: (outcome: PluggedIn | Error) => void): void {
    const { hostDevices } = this.#options.machine.parts;
    const { files } = this.#options;
    const { wires = [], rom = null } = given;
    const closeWires = wires.length === 0 ? () => {} : files.giveWires(wires);
    const addresses = given.hostDevices.map(({ address }) => address);
    const finish = (unmapped: Error | null) => {
      // A snapshot or a hand-over may have begun in the meantime.
      const failure = unmapped ?? this.#whyNotNow;
      const closeRom = rom === null ? () => {} : files.giveFile(plugged.rom!, rom);
      const outcome = failure ?? this.#outcome(() => this.#plug(plugged, given.disk));
      closeRom();
      if (failure !== null && given.disk !== null) for (const fd of given.disk) close(fd);
      closeWires();
      // Releases those that no model has opened.
      hostDevices.release(addresses);
      done(outcome);
    };
    try {
      hostDevices.give(given.hostDevices);
    } catch (error) {
      finish(error as Error);
      return;
    }
    if (addresses.length === 0 || this.#whyNotNow !== null) {
      finish(null);
      return;
    }
    const { name } = plugged;
    this.#mapping.add(name);
    // Any manager present by then learns that the host's devices stay.
    this.#options.changed();
    hostDevices.prepare(addresses, unmapped => {
      this.#mapping.delete(name);
      finish(unmapped);
      this.#options.changed();
    });
  }

  get #whyNotNow(): Error | null {
    const busy = this.#options.busy();
    return busy === null ? null : new Error(busy);
  }

  #outcome(plug: () => PluggedIn): PluggedIn | Error {
    try {
      return plug();
    } catch (error) {
      return error as Error;
    }
  }

  /** @param disk is taken over. @throws an error for the user */
  #plug({ config, name, disk: facts }: PlugArguments, disk: readonly number[] | null): PluggedIn {
    const { machine, files } = this.#options;
    const { parts } = machine;
    const { table, chipset } = parts;
    const given = table.disk(config);
    const isGiven = given !== null && facts !== undefined && disk !== null;
    if (disk !== null && !isGiven) for (const fd of disk) close(fd);
    const takeBack = isGiven ? files.give({ ...given, ...diskOfFacts(facts, disk) }) : () => {};
    const { services, created, undo } = creationServices(parts.services);
    try {
      if (given !== null && !isGiven) throw new Error('the disk did not reach the machine: try again');
      const type = table.find(config.type);
      if (type === undefined) throw new Error(`this VM has no devices of type "${config.type}"`);
      if (!isHotpluggable(type))
        throw new Error(
          `${type.type} cannot be plugged in while the VM runs: add it to the definition, and start the VM again`,
        );
      if (chipset.part(name) !== undefined)
        throw new Error(`the VM has a device named "${name}" already: choose another name`);
      const { bus, address } = freePlace(chipset, table, config);
      const built = this.#create(() => table.create(services, config, name), undo);
      created();
      this.#attach({ type, built, place: { bus, address } }, name);
      machine.plugged(built.device);
      const noticed = announce(chipset.bus(bus)!, built, address);
      const addr = addressText(type.bus, address);
      this.#options.happened('info', `${name} was plugged in at ${addr} of ${bus}`);
      this.#options.changed();
      return { bus, addr, noticed };
    } finally {
      takeBack();
    }
  }

  #create(create: () => BuiltDevice, undo: () => void): BuiltDevice {
    try {
      return create();
    } catch (error) {
      undo();
      throw new Error(reasonOf(error, this.#options.deviceModules), { cause: error });
    }
  }

  /** Connects a device, or closes it. @throws an error for the user */
  #attach(part: ChipsetPart, name: string): void {
    const { device } = part.built;
    try {
      if (device.name !== name) throw new Error(`the device is named "${device.name}", not "${name}"`);
      this.#chipset.attach(part);
    } catch (error) {
      if (this.#chipset.part(device.name)?.built === part.built) this.#chipset.detach(device.name);
      this.#close(device);
      throw error;
    }
  }

  /**
   * Asks the guest to release a device, and any others in its slot; or removes it without asking.
   * @param done called once the device is closed and gone
   * @throws an error for the user if it cannot be unplugged, or not now
   */
  unplug(name: string, force: boolean, done: Done): void {
    const { clock } = this.#options.machine.parts;
    const unit = this.#removableUnit(name);
    if (unit !== null) {
      const failure = this.#whyNotNow;
      if (failure !== null) throw failure;
      this.#wait(name, done);
      this.#takeApart(unit, true);
      return;
    }
    const { part, hotplug, slot } = this.#removable(name);
    if (force) {
      const failure = this.#whyNotNow;
      if (failure !== null) throw failure;
      const parts = this.#chipset.slotMates(part);
      for (const { built } of parts) this.#wait(built.device.name, built === part.built ? done : null);
      hotplug.remove(slot);
      for (const mate of parts) this.#takeApart(mate, true);
      return;
    }
    const before = this.#requests.get(name);
    const request = this.#wait(name, done);
    if (!hotplug.removing(slot)) hotplug.requestRemoval(slot);
    else if (before !== undefined && clock.now() - before.askedAt >= REPEAT_AFTER_NS) {
      hotplug.repeatRequest(slot);
      request.askedAt = clock.now();
    }
    this.#options.changed();
  }

  /** Withdraws a request to release a device. @throws an error for the user if there is none */
  cancel(name: string): void {
    if (this.#removableUnit(name) !== null)
      throw new Error(`the guest has not been asked to release ${name}`);
    const { part, hotplug, slot } = this.#removable(name);
    if (!hotplug.removing(slot)) throw new Error(`the guest has not been asked to release ${name}`);
    hotplug.cancelRemoval(slot);
    for (const { built } of this.#chipset.slotMates(part))
      this.#settle(built.device.name, `${name} stays: unplugging it was canceled`);
    this.#options.changed();
  }

  /** The host wants a device back. @param reason of the host's: a few words */
  requested(name: string, reason: string): void {
    this.#options.happened('warning', `${name} is to be released: ${reason}`);
    try {
      this.unplug(name, false, () => {});
    } catch (error) {
      this.#options.happened('warning', `${name} is not released: ${(error as Error).message}`);
    }
  }

  /** The machine's devices as screens show them, with pending removals and those that must stay marked. */
  get labels(): readonly DeviceLabel[] {
    return this.#chipset.labels.map(label => {
      const since = this.#removingSince(label.name);
      return {
        ...label,
        ...(since !== null && { removing: since }),
        ...(this.#isFixed(label.name) && { fixed: true as const }),
      };
    });
  }

  /** Names of devices that are being plugged in. */
  get pluggingIn(): readonly string[] {
    return [...this.#mapping];
  }

  /** The machine ends: closes removed devices that are still open. */
  close(): void {
    for (const device of this.#closing.keys()) this.#close(device);
    for (const name of [...this.#requests.keys()]) this.#settle(name, 'the machine has ended');
  }

  /** A machine that continues from a saved state may have been asked before. */
  #removingSince(name: string): number | null {
    const part = this.#chipset.part(name);
    const fn = part?.built.pci;
    if (fn?.bus === undefined || fn.bus === null) return null;
    const hotplug = this.#hotplugOf(part!);
    if (hotplug?.removing(fn.place.slot) !== true) return null;
    return this.#wait(name, null).since;
  }

  /** Guests may release a device without having been asked. */
  #released(functions: readonly PciFunction[]): void {
    const parts = this.#chipset.parts.filter(
      ({ built: { pci } }) => pci !== undefined && functions.includes(pci),
    );
    for (const part of parts) this.#takeApart(part, this.#requests.has(part.built.device.name));
  }

  /** The guest can no longer access the device: closes it as soon as its back end has finished. */
  #takeApart({ built: { device } }: ChipsetPart, wasAsked: boolean): void {
    const { machine, happened, changed } = this.#options;
    const { name } = device;
    const waiting = this.#requests.get(name)?.waiting ?? [];
    this.#requests.delete(name);
    this.#chipset.detach(name);
    machine.unplugged(device);
    this.#closing.set(device, waiting);
    let late: Cancel = () => {};
    let isClosed = false;
    const close = () => {
      isClosed = true;
      late();
      this.#closing.delete(device);
      this.#close(device);
      happened('info', wasAsked ? `${name} was unplugged` : `the guest has ejected ${name}`);
      changed();
      for (const done of waiting) done(null);
    };
    if (device.quiesce === undefined) close();
    else device.quiesce(close);
    if (isClosed) return;
    const { clock } = machine.parts;
    late = clock.at(clock.now() + CLOSES_WITHIN_NS, () =>
      happened(
        'warning',
        `${name} is out of the guest, but the host has not finished its requests: what it uses is released when it has`,
      ),
    );
    changed();
  }

  /** A device that leaves its bus immediately; null for any other, or if there is none. */
  #removableUnit(name: string): ChipsetPart | null {
    const part = this.#chipset.part(name);
    if (part === undefined || !isHotpluggable(part.type)) return null;
    return this.#chipset.bus(this.#chipset.busOf(part))?.units === undefined ? null : part;
  }

  /** @throws an error for the user */
  #removable(name: string): { part: ChipsetPart; hotplug: PciHotplug; slot: number } {
    const part = this.#chipset.part(name);
    if (part === undefined) throw new Error(this.#unknown(name));
    const failure = this.#whyFixed(part);
    if (failure !== null) throw new Error(failure);
    return { part, hotplug: this.#hotplugOf(part)!, slot: part.built.pci!.place.slot };
  }

  /** Why a device with a slot cannot be unplugged while the VM runs; null if it can. */
  #whyFixed(part: ChipsetPart): string | null {
    const { type, built } = part;
    if (type.builtin) return `every VM has a ${type.title}: it cannot be unplugged`;
    const { name } = built.device;
    if (!isHotpluggable(type) || this.#hotplugOf(part) === undefined)
      return `${name} (${type.type}) cannot be unplugged while the VM runs: remove it from the definition, and start the VM again`;
    const fixed = this.#chipset.slotMates(part).find(mate => !isHotpluggable(mate.type));
    return fixed === undefined
      ? null
      : `${name} shares its slot with ${fixed.built.device.name} (${fixed.type.type}), which cannot be unplugged while the VM runs`;
  }

  /** A part of every machine is not marked. */
  #isFixed(name: string): boolean {
    const part = this.#chipset.part(name);
    if (part === undefined || part.type.builtin || this.#removableUnit(name) !== null) return false;
    return this.#whyFixed(part) !== null;
  }

  #unknown(name: string): string {
    const names = this.#chipset.parts
      .filter(({ type }) => isHotpluggable(type))
      .map(({ built }) => built.device.name);
    const choice = names.length === 0 ? 'none of its devices can be unplugged' : `it has ${names.join(', ')}`;
    return `the VM has no device "${name}": ${choice}`;
  }

  #hotplugOf(part: ChipsetPart): PciHotplug | undefined {
    return this.#chipset.bus(this.#chipset.busOf(part))?.hotplug;
  }

  #wait(name: string, done: Done | null): Request {
    const { clock } = this.#options.machine.parts;
    let request = this.#requests.get(name);
    if (request === undefined) {
      request = { since: Date.now(), askedAt: clock.now(), waiting: [] };
      this.#requests.set(name, request);
    }
    if (done !== null) request.waiting.push(done);
    return request;
  }

  #settle(name: string, error: string): void {
    const request = this.#requests.get(name);
    this.#requests.delete(name);
    for (const done of request?.waiting ?? []) done(error);
  }

  /** If a device module's close throws, the machine continues. */
  #close(device: Device): void {
    try {
      device.close?.();
    } catch (error) {
      const why = reasonOf(error, this.#options.deviceModules);
      this.#options.happened('warning', `device ${device.name} could not be closed: ${why}`);
    }
  }
}

/** Notifies the guest of a device that has been attached to a bus. @returns whether it examines it now */
function announce({ hotplug, units }: DeviceBus, built: BuiltDevice, address: BusAddress): boolean {
  if (units !== undefined) return units.announce(built);
  // The guest examines all functions of a slot once there is function 0.
  if (address.function !== 0) return false;
  hotplug!.announce(address.unit);
  return hotplug!.driven(address.unit);
}
