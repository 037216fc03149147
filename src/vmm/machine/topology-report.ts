import type { CounterBlocks } from '../counters/counter-blocks.ts';
import type { ConsolePorts } from './console-ports.ts';
import type { MachineLoop } from './loop.ts';
import type { MachineParts } from './machine-parts.ts';
import type { MachineReport, Tell } from './report.ts';
import type { DeviceLabel } from './topology.ts';

export type TopologyParts = {
  readonly blocks: CounterBlocks;
  readonly consoles: ConsolePorts;
  readonly loop: Pick<MachineLoop, 'at'>;
  readonly report: MachineReport;
  readonly tell: Tell;
};

/** Reports what a machine consists of, once it has been built and whenever that changes. */
export class TopologyReport {
  readonly #parts: TopologyParts;
  #machine: MachineParts | null = null;
  /** Host CPUs, by vCPU. */
  #pinning: readonly number[] = [];
  /** Its devices as screens show them. */
  #devices: () => readonly DeviceLabel[] = () => [];
  #isDue = false;

  constructor(parts: TopologyParts) {
    this.#parts = parts;
  }

  /** The machine has been built. @param pinning host CPUs, by vCPU */
  built(machine: MachineParts, pinning: readonly number[], devices: () => readonly DeviceLabel[]): void {
    this.#devices = devices;
    this.#machine = machine;
    this.#pinning = pinning;
    this.update();
  }

  /** A device's size, limits or the like are others now. It is sent with what follows. */
  update(): void {
    const { chipset, vcpus } = this.#machine!;
    const { blocks, consoles, report } = this.#parts;
    report.built({
      ...blocks.labels,
      devices: this.#devices(),
      places: chipset.places,
      consoles: consoles.labels,
      vcpus: vcpus.length,
      pinning: this.#pinning,
    });
  }

  /** A queue or range came or went; with a device there are many, which are reported together. */
  changed(): void {
    if (this.#machine === null || this.#isDue) return;
    this.#isDue = true;
    this.#parts.loop.at(0n, () => {
      this.#isDue = false;
      this.#parts.tell(() => this.update());
    });
  }
}
