import type { Cancel, Device, DeviceState } from '../device.ts';
import type { MachineServices } from '../machine-services.ts';
import { checkRom, MAX_ROM, romBarSize, withIds } from '../pci/expansion-rom.ts';
import type { PciIdentity } from '../pci/pci-function.ts';
import { COMMAND, HEADER, REG } from '../pci/registers.ts';
import { DeviceStateError } from '../state.ts';
import { watchEvents } from './device-events.ts';
import { readRom } from './device-rom.ts';
import { HostConfig } from './host-config.ts';
import { type HostDevice, REGION } from './host-device.ts';
import type { HostDeviceBar, HostDeviceFacts } from './host-device-facts.ts';
import { hostAddressOf, type VfioOptions } from './options.ts';
import { addBars, type BarOfDevice } from './passed-bars.ts';
import { PassedFunction } from './passed-function.ts';
import { PassedInterrupts } from './passed-interrupts.ts';
import type { DeviceIdentity, Quirk } from './quirks/quirk.ts';
import { quirksOf } from './quirks/quirks.ts';
import type { Trap } from './traps.ts';
import { type VirtualConfig, virtualConfig } from './virtual-config.ts';

/** The value of registers if the device is missing, or does not respond. */
const NO_DEVICE = 0xffff;
/**
 * The number of the host's requests for the device before it is taken from a guest that does not release it: about half
 * a minute.
 */
const PATIENCE = 3;

/**
 * A PCI function of the host in a machine. Its driver reaches it directly, and it reaches the guest's memory: this
 * model only sets that up.
 */
export class PassedDevice implements Device {
  readonly name: string;
  readonly function: PassedFunction;
  readonly host: HostDevice;
  /** Handlers that replace it at some ports of a VGA adapter; null if the guest does not see a VGA adapter. */
  readonly vgaPorts: readonly Trap[] | null;
  readonly #services: MachineServices;
  readonly #bars: Map<number, BarOfDevice>;
  readonly #config: VirtualConfig;
  readonly #interrupts: PassedInterrupts;
  readonly #changeHooks = new Set<() => void>();
  readonly #stops: Cancel[] = [];
  #failed = false;
  /** The number of the host's requests for the device. */
  #requests = 0;
  #gone = false;

  /** @throws an error for the user */
  constructor(name: string, options: VfioOptions, services: MachineServices) {
    this.name = name;
    this.#services = services;
    this.host = services.hostDevices.open(hostAddressOf(options));
    try {
      const { host } = this;
      const found = HostConfig.read(host.region(REGION.config));
      const identity = this.#identify(found, options);
      const onError = (error: unknown) => this.#report(error);
      // The slot on the host identifies the device.
      const deviceKey = options.multifunction === true ? host.address.replace(/\.\d$/, '') : null;
      this.function = new PassedFunction(name, identity, deviceKey, host.region(REGION.config), onError);
      this.#config = virtualConfig(this.function, found, host.region(REGION.config).size > 256, () =>
        this.#functionLevelReset(),
      );
      this.#bars = addBars(this.function, host, found, {
        mappable: options['x-no-mmap'] !== true,
        onAccess: () => this.#interrupts.accessed(),
        onError,
        onMoved: () => this.#changed(),
      });
      this.#interrupts = new PassedInterrupts(this.function, host, found, {
        ...options,
        services,
        msi: this.#config.msi,
        msix: this.#config.msix,
        bars: this.#bars,
        onChanged: () => this.#changed(),
        onError,
      });
      const quirks = quirksOf(ownIdentity(found));
      const vgaPorts: Trap[] | null = options['x-vga'] === true ? [] : null;
      this.vgaPorts = vgaPorts;
      const { msi } = this.#config;
      const msix = this.#interrupts.msixTable;
      for (const { apply } of quirks)
        apply?.({ fn: this.function, host, bars: this.#bars, msi, msix, vgaPorts, onError });
      this.#resetDevice();
      if (options.rombar) this.#addRom(options, identity, found, quirks);
      this.#stops.push(
        watchEvents(host, {
          services,
          onError: () => this.#hostError(),
          onRequest: options['x-req'] ? () => this.#requested() : null,
        }),
        host.onMappings(() => this.#changed()),
      );
      this.function.onBusReset(() => this.#afterFunctionReset());
      this.function.onBusResetDone(() => this.#interrupts.start());
      // Only after all functions of the device have been opened, since the host may have to reset them together.
      this.function.onAttach(() => this.#interrupts.start());
    } catch (error) {
      this.host.close();
      throw error;
    }
  }

  /** What screens show about it. */
  get facts(): HostDeviceFacts {
    const { address, api, resetMethods, mappings } = this.host;
    const { bytes, count } = mappings;
    return {
      address,
      api,
      reset: resetMethods[0] ?? 'none',
      bars: this.function.bars.map(({ index, kind, size, address, prefetchable }): HostDeviceBar => {
        const isRom = index === REGION.rom;
        const where = address === null ? null : `0x${address.toString(16)}`;
        const mapped = isRom ? (address === null ? 0 : size) : (this.#bars.get(index)?.parts.mapped ?? 0);
        return {
          index,
          kind: isRom ? 'rom' : kind === 'io' ? 'io' : 'memory',
          size,
          address: where,
          mapped,
          prefetchable,
        };
      }),
      interrupts: this.#interrupts.facts,
      mappings: { bytes, count },
    };
  }

  /** Calls back when `facts` may have changed. */
  onChanged(hook: () => void): Cancel {
    this.#changeHooks.add(hook);
    return () => this.#changeHooks.delete(hook);
  }

  /**
   * Functions that the host can only reset together are reset with the last of them: no interrupt may be connected
   * then.
   */
  reset(): void {
    this.#functionReset();
    if (this.function.power.running) this.#interrupts.start();
  }

  /** Disabling bus mastering stops its DMA. */
  quiesce(done: () => void): void {
    this.function.power = { ...this.function.power, running: false };
    done();
  }

  resume(): void {
    this.function.power = { ...this.function.power, running: true };
    this.#interrupts.start();
  }

  save(): DeviceState {
    throw new Error(this.#noState);
  }

  load(): void {
    throw new DeviceStateError(this.#noState);
  }

  close(): void {
    this.function.close();
    this.#giveBack();
  }

  get #noState(): string {
    return (
      `device ${this.name} is ${this.host.address} of the host, whose state is in the hardware: a VM that has it cannot be saved, ` +
      'snapshotted or moved; detach it first'
    );
  }

  /** @throws an error for the user about a device that cannot be passed through */
  #identify(found: HostConfig, options: VfioOptions): PciIdentity {
    const { address } = this.host;
    const given = options.id?.split(':').map(part => Number.parseInt(part, 16));
    // Virtual functions have no IDs of their own (SR-IOV 1.1 §3.4.1.1), but VFIO provides some.
    const own = found.u16(REG.vendor) !== NO_DEVICE;
    const [vendor, device] = own ? [found.u16(REG.vendor), found.u16(REG.device)] : (given ?? []);
    if (vendor === undefined || device === undefined) {
      throw new Error(
        `${address} does not answer: all that it has reads as ones; see "vring pci show ${address}", and reset or replace it`,
      );
    }
    if (given !== undefined && (given[0] !== vendor || given[1] !== device)) {
      throw new Error(
        `${address} is a ${id(vendor)}:${id(device)}, not a ${options.id}: devices of the host have moved; give the address that it has now`,
      );
    }
    const type = found.u8(REG.headerType) & HEADER.type;
    if (own && type !== 0) throw new Error(`${address} is a bridge: pass what is behind it`);
    return {
      vendor: options['x-pci-vendor-id'] ?? vendor,
      device: options['x-pci-device-id'] ?? device,
      revision: found.u8(REG.revision),
      classCode: found.u32(REG.revision) >>> 8,
      subsystemVendor: options['x-pci-sub-vendor-id'] ?? found.u16(REG.subsystemVendor),
      subsystem: options['x-pci-sub-device-id'] ?? found.u16(REG.subsystem),
    };
  }

  /** Shows a ROM from a file, or the device's. */
  #addRom(
    { romfile }: VfioOptions,
    identity: PciIdentity,
    found: HostConfig,
    quirks: readonly Quirk[],
  ): void {
    const shown = { vendor: identity.vendor, device: identity.device };
    let bytes: Uint8Array | null;
    if (romfile !== undefined) {
      const rom = checkRom(romfile, this.#services.readFile(romfile, MAX_ROM), shown);
      for (const warning of rom.warnings) this.#services.warn(`device ${this.name}: ${warning}`);
      bytes = rom.bytes;
    } else {
      bytes = this.#readRom(quirks);
      const own = { vendor: found.u16(REG.vendor), device: found.u16(REG.device) };
      if (bytes !== null) bytes = withIds(bytes, shown, own);
    }
    if (bytes === null) return;
    const memory = this.#services.allocateMemory(`${this.name} ROM`, romBarSize(bytes.length), 'rom');
    this.#stops.push(() => memory.release());
    memory.writable(0, bytes.length).set(bytes);
    this.function.addRom(memory);
  }

  #readRom(quirks: readonly Quirk[]): Uint8Array | null {
    const unreadable = quirks.find(quirk => quirk.unreadableRom === true);
    if (unreadable !== undefined) {
      const why = `its expansion ROM is not shown to the guest (${unreadable.why}): give romfile to have one`;
      this.#services.warn(`device ${this.name}: ${why}`);
      return null;
    }
    try {
      // Some devices decode their ROM with the same circuits as their BARs, so the kernel requires memory decoding.
      this.function.change16(REG.command, COMMAND.memory, COMMAND.memory);
      return readRom(this.host.region(REGION.rom));
    } catch (error) {
      this.#services.warn(
        `device ${this.name}: the expansion ROM cannot be read: ${(error as Error).message}`,
      );
      return null;
    } finally {
      this.function.change16(REG.command, COMMAND.memory, 0);
    }
  }

  /** The guest has started one. */
  #functionLevelReset(): void {
    this.#functionReset();
    this.#interrupts.start();
  }

  #functionReset(): void {
    this.#interrupts.stop();
    this.function.reset();
    this.#afterFunctionReset();
  }

  /** The configuration space has been reset, and the device must follow. */
  #afterFunctionReset(): void {
    this.#interrupts.stop();
    this.#interrupts.reset();
    this.#resetDevice();
  }

  #resetDevice(): void {
    if (this.#gone) return;
    this.#interrupts.stop();
    this.function.deviceReset();
    this.#config.power?.wake();
    this.host.reset();
    // The host may have restored the power state that it had saved.
    this.#config.power?.wake();
  }

  /** An uncorrectable error: data that it has written to the guest's memory may be wrong. */
  #hostError(): void {
    if (this.#failed) return;
    this.#failed = true;
    const { address } = this.host;
    const reason = `the host reports an error of ${address} (${this.name}) that cannot be corrected: what it wrote may be wrong; see the kernel log of the host`;
    this.#services.reportBroken(this.name, reason);
    this.#services.request({ kind: 'crash', reason });
  }

  /**
   * The kernel repeats its request every ten seconds, and the process that unbinds the device blocks until it is
   * closed.
   */
  #requested(): void {
    const { address } = this.host;
    if (this.#requests++ < PATIENCE) {
      this.#services.requestUnplug(this.name, `the host wants ${address} back`);
      return;
    }
    this.#giveBack();
    this.#services.reportBroken(
      this.name,
      `the guest did not release it in time, and the host has ${address} again: detach it`,
    );
  }

  /** Closes the device, whatever the guest is doing with it: the guest no longer finds it. */
  #giveBack(): void {
    if (this.#gone) return;
    for (const stop of this.#stops.splice(0)) stop();
    this.#interrupts.close();
    this.function.power = { awake: false, running: false };
    this.function.deviceReset();
    this.#config.power?.wakeDevice();
    this.host.reset();
    this.#config.power?.wakeDevice();
    this.function.leave();
    for (const { parts } of this.#bars.values()) parts.release();
    this.host.close();
    this.#gone = true;
    this.#changed();
  }

  #report(error: unknown): void {
    this.#services.reportBroken(this.name, error instanceof Error ? error.message : String(error));
  }

  #changed(): void {
    for (const hook of this.#changeHooks) hook();
  }
}

function ownIdentity(found: HostConfig): DeviceIdentity {
  const classCode = found.u32(REG.revision) >>> 8;
  return { vendor: found.u16(REG.vendor), device: found.u16(REG.device), classCode };
}

function id(value: number): string {
  return value.toString(16).padStart(4, '0');
}
