import type { RegionLabel } from '../../devices/bus.ts';
import type { DeviceFact } from '../../devices/device-type.ts';
import type { CounterShape } from '../counters/counters.ts';

export type { RegionLabel } from '../../devices/bus.ts';
export type { DeviceFact } from '../../devices/device-type.ts';

/** What a machine is made of, by name. */
export type Topology = CounterLabels & {
  /** Those that every machine has, then those of its configuration. */
  readonly devices: readonly DeviceLabel[];
  /** The host CPU that each vCPU is pinned to, for as many as are. */
  readonly pinning: readonly number[];
};

export type DeviceLabel = {
  readonly name: string;
  /** `virtio-blk`. */
  readonly type: string;
  readonly title: string;
  readonly role: 'disk' | 'network' | null;
  /** Its PCI address as the guest sees it, `00:03.0`; null without one. */
  readonly pci: string | null;
  readonly facts: readonly DeviceFact[];
};

/** Whose the counters are. */
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
