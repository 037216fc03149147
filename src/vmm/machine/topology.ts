import type { BackendKind } from '../../devices/backends/backend-type.ts';
import type { RegionLabel } from '../../devices/bus.ts';
import type { DeviceFact } from '../../devices/device-type.ts';
import type { CounterShape } from '../counters/counters.ts';
import type { ConsoleLabel } from './console-ports.ts';

export type { RegionLabel } from '../../devices/bus.ts';
export type { DeviceFact } from '../../devices/device-type.ts';

/** The parts of a machine, by name. */
export type Topology = CounterLabels & {
  /** The ones that every machine has, then those of its configuration. */
  readonly devices: readonly DeviceLabel[];
  /** The first is the one that screens show as the VM's console. */
  readonly consoles: readonly ConsoleLabel[];
  /** The host CPU of each pinned vCPU, by vCPU index. */
  readonly pinning: readonly number[];
};

export type DeviceLabel = {
  readonly name: string;
  /** `virtio-blk`. */
  readonly type: string;
  readonly title: string;
  /** The kind of back end that it is connected to. */
  readonly backend: BackendKind | null;
  /** Its PCI address as the guest sees it, `00:03.0`; null without one. */
  readonly pci: string | null;
  readonly facts: readonly DeviceFact[];
};

/** The owners of the counters. */
export type CounterLabels = {
  readonly shape: CounterShape;
  /** Virtqueues by counter slot. */
  readonly queues: readonly QueueLabel[];
  /** Bus ranges by counter index. */
  readonly regions: readonly RegionLabel[];
};

export type QueueLabel = {
  readonly device: string;
  readonly type: string;
  readonly queue: string;
  /** Largest number of descriptors. */
  readonly size: number;
};
