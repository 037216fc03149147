import type { ManagerInfo, VmInfo } from '../../engine/engine.ts';
import type { Snapshot } from '../../engine/sampling/snapshot.ts';
import type { HostLoad } from '../../host/load.ts';

/** What metrics are made from, at one moment. */
export type MetricFacts = {
  /** The version of the vring that tells. */
  readonly version: string;
  /** The process that runs the VMs; null when there is none. */
  readonly manager: Pick<ManagerInfo, 'pid' | 'startedAt'> | null;
  readonly host: HostLoad;
  readonly vms: readonly VmFacts[];
};

export type VmFacts = {
  readonly info: VmInfo;
  /** Null when the VM has not run since the manager was started. */
  readonly snapshot: Snapshot | null;
};

export type Labels = Readonly<Record<string, string>>;

/** One series of a family at one moment. */
export type Point = { readonly labels: Labels; readonly value: number };

export type HistogramPoint = {
  readonly labels: Labels;
  /** How many there were, by upper bound; not cumulative. The last bound is infinite. */
  readonly buckets: readonly (readonly [upTo: number, count: number])[];
  readonly sum: number;
};

type Named = {
  /** Ends with the unit, if there is one. In the text, counters end with `_total` after it. */
  readonly name: string;
  readonly unit?: 'seconds' | 'bytes';
  readonly help: string;
  readonly labels: readonly LabelName[];
};

/** Metrics of one name (OpenMetrics 1.0, "MetricFamily"). A state set has its state in the label of its own name. */
export type Family =
  | (Named & {
      readonly type: 'gauge' | 'counter' | 'info' | 'stateset';
      points(facts: MetricFacts): Iterable<Point>;
    })
  | (Named & { readonly type: 'histogram'; points(facts: MetricFacts): Iterable<HistogramPoint> });

/** The labels there are, and what they hold. */
export const LABELS = {
  vm: "the VM's name",
  vcpu: 'the index of the vCPU, from 0',
  mode: 'what the CPU did',
  reason: 'KVM_EXIT_* (linux/kvm.h) without that prefix',
  device: 'the device, as the VM lists it',
  queue: 'the virtqueue of the device',
  direction: '`read` and `write` as the guest sees it, `to_guest` and `from_guest` for data',
  space: '`port` or `memory`',
  address: 'the exact port or guest-physical address, in hexadecimal',
  size: 'the size of a page in bytes',
  resource: '`cpu`, `memory` or `io`',
  tasks: '`some`: at least one task waited; `full`: all did',
  version: 'the version of vring',
  vring_vm_state: 'the state: the series of the current one is 1, the others are 0',
} as const;

export type LabelName = keyof typeof LABELS;
