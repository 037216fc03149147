import type { RegionLabel } from '../devices/bus.ts';
import type { CounterShape } from './counters.ts';

export type { RegionLabel } from '../devices/bus.ts';

/** What a machine is made of, by name: the labels of its counters. */
export type Topology = {
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
