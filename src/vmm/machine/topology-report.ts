import type { HostDeviceControl } from '../../devices/device-type.ts';
import type { CounterBlocks } from '../counters/counter-blocks.ts';
import type { MachineConfig } from './config.ts';
import type { ConsolePorts } from './console-ports.ts';
import type { MachineLoop } from './loop.ts';
import type { MachineParts } from './machine-parts.ts';
import type { MachineReport, Notify } from './report.ts';
import type { DeviceLabel, VcpuLabel } from './topology.ts';

/** Shortest interval between reports of devices' own changes: four times a second. */
const DEVICE_INTERVAL_NS = 250_000_000n;

/** The machine's devices, which may be hot-plugged. */
export type ReportedDevices = {
  /** As screens show them. */
  readonly labels: readonly DeviceLabel[];
  /** Names of devices that are being plugged in. */
  readonly pluggingIn: readonly string[];
};

/** The machine's vCPUs, which may come and go. */
export type ReportedVcpus = { readonly labels: readonly VcpuLabel[] | undefined };

type Changing = Partial<Pick<HostDeviceControl, 'onChanged'>>;

export type TopologyParts = {
  readonly blocks: CounterBlocks;
  readonly consoles: ConsolePorts;
  readonly loop: Pick<MachineLoop, 'at' | 'now'>;
  readonly report: MachineReport;
  readonly notify: Notify;
};

/** Reports what a machine consists of, once it has been built and whenever that changes. */
export class TopologyReport {
  readonly #parts: TopologyParts;
  #machine: MachineParts | null = null;
  /** Host CPUs, by vCPU. */
  #pinning: readonly number[] = [];
  #hotPlug: ReportedDevices | null = null;
  #vcpus: ReportedVcpus | null = null;
  #serialFirst = false;
  #isDue = false;
  /**
   * Devices that report changes on their own: host devices, drives that the guest opens, cards that lose their network.
   */
  readonly #watched = new WeakSet<Changing>();
  #deviceIsDue = false;

  constructor(parts: TopologyParts) {
    this.#parts = parts;
  }

  /** The machine has been built. */
  built(
    machine: MachineParts,
    { pin = [], boot }: MachineConfig,
    hotPlug: ReportedDevices,
    vcpus: ReportedVcpus,
  ): void {
    this.#hotPlug = hotPlug;
    this.#vcpus = vcpus;
    this.#machine = machine;
    this.#pinning = pin;
    this.#serialFirst = boot.kind === 'firmware' && boot.serialConsole;
    this.update();
  }

  /** A device's size, limits or the like have changed. The report is sent with the next messages. */
  update(): void {
    const { chipset, vcpus } = this.#machine!;
    for (const { capabilities } of chipset.devices) {
      this.#watch(capabilities?.hostDevice);
      this.#watch(capabilities?.disk?.drive);
      this.#watch(capabilities?.balloon);
      this.#watch(capabilities?.keyboard);
      this.#watch(capabilities?.nic);
    }
    const { blocks, consoles, report } = this.#parts;
    const { labels, pluggingIn } = this.#hotPlug!;
    const vcpuLabels = this.#vcpus!.labels;
    report.built({
      ...blocks.labels,
      devices: labels,
      places: chipset.places,
      ...(pluggingIn.length > 0 && { pluggingIn }),
      consoles: consoles.labels,
      ...(this.#serialFirst && { serialFirst: true }),
      vcpus: vcpus.indices.length,
      ...(vcpuLabels && { vcpuLabels }),
      pinning: this.#pinning,
    });
  }

  /** Queues or ranges were added or removed; a device has many, which are reported together. */
  changed(): void {
    if (this.#machine === null || this.#isDue) return;
    this.#isDue = true;
    this.#parts.loop.at(0n, () => {
      this.#isDue = false;
      this.#parts.notify(() => this.update());
    });
  }

  /** Limits the rate, since the guest moves BARs and connects interrupts many times in a row. */
  #watch(device: Changing | null | undefined): void {
    if (!device?.onChanged || this.#watched.has(device)) return;
    this.#watched.add(device);
    device.onChanged(() => {
      if (this.#deviceIsDue) return;
      this.#deviceIsDue = true;
      const { loop, notify } = this.#parts;
      loop.at(loop.now() + DEVICE_INTERVAL_NS, () => {
        this.#deviceIsDue = false;
        notify(() => this.update());
      });
    });
  }
}
