import { Msix } from '../pci/msix.ts';
import { REG } from '../pci/registers.ts';
import type { HostConfig } from './host-config.ts';
import { type HostDevice, IRQ } from './host-device.ts';
import type { HostDeviceFacts } from './host-device-facts.ts';
import type { VfioOptions } from './options.ts';
import type { BarOfDevice } from './passed-bars.ts';
import type { PassedFunction } from './passed-function.ts';
import { PassedIntx, type PassedIntxOptions } from './passed-intx.ts';
import { PassedMsi } from './passed-msi.ts';
import { TriggeredVector, type VectorServices } from './triggered-vector.ts';

/** Offsets in the MSI-X capability, and fields (PCI Local Bus 3.0 §6.8.2.3-5). */
const MSIX = { control: 2, table: 4, pending: 8, size: 12, lastVector: 0x7ff, bar: 0x7 } as const;
const ENTRY_BYTES = 16;
/** Pending bits are in words of eight bytes. */
const PENDING_BITS = 64;

type Kind = HostDeviceFacts['interrupts']['kind'];

export type PassedInterruptsOptions = Pick<
  VfioOptions,
  'x-no-kvm-intx' | 'x-no-kvm-msi' | 'x-no-kvm-msix' | 'x-intx-mmap-timeout-ms'
> & {
  readonly services: VectorServices & PassedIntxOptions['services'];
  /** The offsets of the capabilities; null if the device has none. */
  readonly msi: number | null;
  readonly msix: number | null;
  readonly bars: ReadonlyMap<number, BarOfDevice>;
  readonly onChanged: () => void;
  /** The kernel refused what the guest requested. */
  readonly onError: (error: unknown) => void;
};

/**
 * The interrupts of a passed-through function. A device uses one kind at a time: MSI-X or MSI once the guest has
 * enabled it, the pin otherwise. Each vector is an eventfd from the device to KVM; the machine thread only connects
 * them.
 */
export class PassedInterrupts {
  readonly #device: HostDevice;
  readonly #options: PassedInterruptsOptions;
  readonly #intx: PassedIntx | null;
  readonly #msi: PassedMsi | null;
  readonly #msix: Msix | null;
  readonly #msixVectors: readonly TriggeredVector[];
  #kind: Kind = 'none';
  /** The number of MSI-X vectors, from 0 on, that are set up in the device, connected or not. */
  #armed = 0;
  #running = false;
  #closed = false;

  constructor(fn: PassedFunction, device: HostDevice, host: HostConfig, options: PassedInterruptsOptions) {
    this.#device = device;
    this.#options = options;
    const pin = host.u8(REG.interruptPin);
    const hasPin = pin >= 1 && pin <= 4 && device.irq(IRQ.intx).count > 0;
    if (hasPin) fn.addInterruptPin(pin - 1);
    this.#intx = hasPin ? new PassedIntx(fn, device, this.#intxOptions) : null;
    this.#msi = options.msi === null ? null : this.#makeMsi(fn, host, options.msi);
    this.#msixVectors = options.msix === null ? [] : this.#makeVectors(host, options.msix);
    this.#msix = options.msix === null ? null : this.#makeMsix(fn, host, options.msix);
    fn.addHook({
      start: REG.command,
      end: REG.command + 2,
      afterWrite: () => {
        if (this.#kind === 'intx') this.#try(() => this.#intx?.unmask());
      },
    });
  }

  /** The MSI-X table; null if the device has none. */
  get msixTable(): Pick<Msix, 'readTable' | 'writeTable'> | null {
    return this.#msix;
  }

  /** What the guest has enabled. */
  get facts(): HostDeviceFacts['interrupts'] {
    const kind = this.#kind;
    if (kind === 'none') return { kind, vectors: 0, enabled: 0 };
    if (kind === 'intx') return { kind, vectors: 1, enabled: 1 };
    const vectors: readonly TriggeredVector[] = kind === 'msi' ? this.#msi!.vectors : this.#msixVectors;
    return { kind, vectors: vectors.length, enabled: vectors.filter(({ fd }) => fd !== null).length };
  }

  /** From now on, connects what the guest has enabled. */
  start(): void {
    this.#running = !this.#closed;
    this.#update();
  }

  /** Disconnects everything before the device is reset or closed. */
  stop(): void {
    this.#running = false;
    this.#update();
  }

  /** Called after the configuration space has been reset. */
  reset(): void {
    this.#msi?.update();
    this.#msix?.reset();
  }

  /** A guest's access to a BAR has exited. */
  accessed(): void {
    this.#intx?.accessed();
  }

  close(): void {
    this.stop();
    this.#closed = true;
    this.#msi?.release();
    this.#msix?.release();
  }

  get #intxOptions(): PassedIntxOptions {
    const { services, bars } = this.#options;
    return {
      services,
      inKernel: this.#options['x-no-kvm-intx'] !== true,
      mmapTimeoutMs: this.#options['x-intx-mmap-timeout-ms'],
      trapBars: trapped => {
        for (const { parts } of bars.values()) parts.trapped = trapped;
        this.#options.onChanged();
      },
    };
  }

  #makeMsi(fn: PassedFunction, host: HostConfig, at: number): PassedMsi {
    return new PassedMsi(fn, host, {
      at,
      available: this.#device.irq(IRQ.msi).count,
      inKernel: this.#options['x-no-kvm-msi'] !== true,
      services: this.#options.services,
      onEnable: () => this.#update(),
    });
  }

  #makeVectors(host: HostConfig, at: number): TriggeredVector[] {
    const inTable = (host.u16(at + MSIX.control) & MSIX.lastVector) + 1;
    const count = Math.min(inTable, Math.max(this.#device.irq(IRQ.msix).count, 1));
    const inKernel = this.#options['x-no-kvm-msix'] !== true;
    return Array.from(
      { length: count },
      (_, index) => new TriggeredVector(this.#options.services, inKernel, () => this.#armOne(index)),
    );
  }

  /** The capability, with a table and pending bits that replace the device's, which the kernel uses. */
  #makeMsix(fn: PassedFunction, host: HostConfig, at: number): Msix {
    const table = host.u32(at + MSIX.table);
    const pending = host.u32(at + MSIX.pending);
    const vectors = this.#msixVectors;
    fn.hide(at + MSIX.control, at + MSIX.size);
    const place = { bar: table & MSIX.bar, tableOffset: (table & ~MSIX.bar) >>> 0 };
    const bits = { pendingBar: pending & MSIX.bar, pendingOffset: (pending & ~MSIX.bar) >>> 0 };
    const msix = new Msix(fn, { vectors, at, ...place, ...bits, onEnable: () => this.#update() });
    this.#options.bars.get(place.bar)?.parts.addTrap({
      start: place.tableOffset,
      size: vectors.length * ENTRY_BYTES,
      handler: {
        read: offset => msix.readTable(offset),
        write: (offset, size, value) => msix.writeTable(offset, size, value),
      },
    });
    this.#options.bars.get(bits.pendingBar)?.parts.addTrap({
      start: bits.pendingOffset,
      size: Math.ceil(vectors.length / PENDING_BITS) * (PENDING_BITS / 8),
      handler: { read: (offset, size) => msix.readPending(offset, size), write: () => {} },
    });
    return msix;
  }

  get #wanted(): Kind {
    if (!this.#running) return 'none';
    if (this.#msix?.enabled === true) return 'msix';
    if (this.#msi !== null && this.#msi.enabled > 0) return 'msi';
    return this.#intx === null ? 'none' : 'intx';
  }

  /** Switches to the kind of interrupt that the guest has enabled. */
  #update(): void {
    const wanted = this.#wanted;
    if (wanted === this.#kind) return;
    this.#leave();
    this.#kind = wanted;
    this.#try(() => this.#enter());
    this.#options.onChanged();
  }

  #enter(): void {
    if (this.#kind === 'intx') this.#intx!.enable();
    else if (this.#kind === 'msi') {
      const fds = this.#msi!.vectors.slice(0, this.#msi!.enabled).map(({ fd }) => fd);
      this.#device.setTriggers(IRQ.msi, 0, fds);
    } else if (this.#kind === 'msix') this.#armAll(0);
  }

  #leave(): void {
    if (this.#kind === 'intx') this.#intx!.disable();
    else if (this.#kind === 'msi') {
      this.#device.disable(IRQ.msi);
      for (const vector of this.#msi!.vectors) vector.disarm();
    } else if (this.#kind === 'msix') {
      this.#device.disable(IRQ.msix);
      for (const vector of this.#msixVectors) vector.disarm();
      this.#armed = 0;
    }
  }

  /** An MSI-X vector has a new eventfd, which is not connected to the device yet. */
  #armOne(index: number): void {
    if (this.#kind !== 'msix') return;
    this.#try(() => {
      const { noresize } = this.#device.irq(IRQ.msix);
      if (noresize && index >= this.#armed) {
        this.#device.disable(IRQ.msix);
        this.#armAll(index);
        // An interrupt that occurred in between is lost: a spurious one is better.
        this.#msixVectors.forEach((vector, other) => {
          if (other !== index && vector.fd !== null) vector.signal();
        });
      } else {
        this.#device.setTriggers(IRQ.msix, index, [this.#msixVectors[index]!.fd]);
        this.#armed = Math.max(this.#armed, index + 1);
      }
    });
    this.#options.onChanged();
  }

  /**
   * Connects the vectors up to the last one with an eventfd, and at least up to `last`; this enables the device's MSI-X
   * even if there is none. Where vectors cannot be added later, their number is doubled, since each time interrupts are
   * disabled for a moment.
   */
  #armAll(last: number): void {
    const inUse = this.#msixVectors.findLastIndex(({ fd }) => fd !== null);
    const needed = Math.max(last, inUse) + 1;
    const { noresize } = this.#device.irq(IRQ.msix);
    const count = Math.min(Math.max(needed, noresize ? 2 * this.#armed : 0), this.#msixVectors.length);
    const fds = this.#msixVectors.slice(0, count).map(({ fd }) => fd);
    this.#device.setTriggers(IRQ.msix, 0, fds);
    this.#armed = count;
  }

  #try(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#options.onError(error);
    }
  }
}
