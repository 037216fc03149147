import type { BackendKind } from '../../devices/backends/backend-type.ts';
import type { RegionLabel } from '../../devices/bus.ts';
import type { DeviceFact } from '../../devices/device-type.ts';
import type { StatisticName } from '../../devices/statistic.ts';
import type { HostDeviceFacts } from '../../devices/vfio/host-device-facts.ts';
import type { BalloonFacts } from '../../devices/virtio/balloon/facts.ts';
import type { QueueName } from '../../devices/virtio/queue-counters.ts';
import type { CounterShape } from '../counters/counters.ts';
import type { ConsoleLabel } from './console-ports.ts';

export type { RegionLabel } from '../../devices/bus.ts';
export type { DeviceFact } from '../../devices/device-type.ts';

/** The parts of a machine, by name. */
export type Topology = CounterLabels & {
  /** The ones that every machine has, then those of its configuration. */
  readonly devices: readonly DeviceLabel[];
  /** Present vCPUs; its counters may have room for more. */
  readonly vcpus: number;
  /** The present vCPUs, if the machine has room for more; default: they are the first ones, and stay. */
  readonly vcpuLabels?: readonly VcpuLabel[];
  /** Screens show the first one as the VM's console. */
  readonly consoles: readonly ConsoleLabel[];
  /** The firmware's console is the first of them, so it comes before the machine's screen; default: it does not. */
  readonly serialFirst?: true;
  /** The host CPU of each pinned vCPU, by vCPU index. */
  readonly pinning: readonly number[];
  /** Absent from a machine of a version without hot plug. */
  readonly places?: MachinePlaces;
  /** Names of devices that are being plugged in: guest memory is mapped for them. Default: none. */
  readonly pluggingIn?: readonly string[];
};

export type VcpuLabel = {
  readonly index: number;
  /** It was added, and the guest has not taken it up; default: it has. */
  readonly adding?: true;
  /** When the guest was asked to release it, in milliseconds since 1970. Absent if it has not been. */
  readonly removing?: number;
};

/** Addresses of devices, independent of the guest's bus numbers: what it takes to build the same machine again. */
export type MachinePlaces = {
  /** Addresses on bus 0 of the root ports that are not devices, `18.0`, in the order of their numbers. */
  readonly rootPorts: readonly string[];
  /**
   * The devices of the configuration, including hot-plugged ones. `addr`: as in a configuration; null if it has none.
   */
  readonly devices: readonly { readonly name: string; readonly bus: string; readonly addr: string | null }[];
};

export type DeviceLabel = {
  readonly name: string;
  /** `virtio-blk`. */
  readonly type: string;
  readonly title: string;
  /** The kind of back end to which it is connected. */
  readonly backend: BackendKind | null;
  /** Its bus: `pci.0`, `isa.0`, or the name of the device that provides it. */
  readonly bus: string;
  /** Its address as the guest sees it, on PCI `00:03.0`; null if it has none. */
  readonly address: string | null;
  readonly facts: readonly DeviceFact[];
  /** For a host device that was passed through; absent for others. */
  readonly hostDevice?: HostDeviceFacts;
  /** For a balloon; absent for others. */
  readonly balloon?: BalloonFacts;
  /** It is a drive whose medium can be changed; default: it is not. */
  readonly drive?: true;
  /** It has a screen; default: it has none. */
  readonly screen?: true;
  /** When the guest was asked to release it, in milliseconds since 1970. Absent if it has not been. */
  readonly removing?: number;
  /** It cannot be unplugged while the machine runs; default: it can, unless every machine has it. */
  readonly fixed?: true;
};

/** The owners of the counters. */
export type CounterLabels = {
  readonly shape: CounterShape;
  /** Virtqueues, in the order of their counter slots, which need not be contiguous. */
  readonly queues: readonly QueueLabel[];
  /** Bus ranges, in the order of their counter blocks, which need not be contiguous. */
  readonly regions: readonly RegionPlace[];
  /** Statistics of devices; absent from a machine of a version without any. */
  readonly statistics?: readonly StatisticPlace[];
};

export type StatisticPlace = StatisticName & {
  /** As of a queue. */
  readonly id: number;
  readonly index: number;
};

export type QueueLabel = QueueName & {
  /** Unique among all queues and ranges of the machine over time, even in the same slot. */
  readonly id: number;
  /** Number of its counter block. */
  readonly slot: number;
};

export type RegionPlace = RegionLabel & {
  /** As of a queue. */
  readonly id: number;
  /** Number of its counter block. */
  readonly index: number;
};
