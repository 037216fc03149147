import type { ManagerInfo } from '../../engine/engine.ts';
import type { Snapshot } from '../../engine/sampling/snapshot.ts';
import type { VmInfo } from '../../engine/vm-info.ts';
import type { HostLoad } from '../../host/load.ts';

/** The source data of the metrics, all from the same moment. */
export type MetricFacts = {
  /** Of the reporting vring. */
  readonly version: string;
  /** Null while none runs. */
  readonly manager: Pick<ManagerInfo, 'pid' | 'startedAt'> | null;
  readonly host: HostLoad;
  readonly vms: readonly VmFacts[];
};

export type VmFacts = {
  readonly info: VmInfo;
  /** Null if the VM has not run since the manager was started. */
  readonly snapshot: Snapshot | null;
};

export type Labels = Readonly<Record<string, string>>;

/** One series of a family at one moment. */
export type Point = { readonly labels: Labels; readonly value: number };

export type HistogramPoint = {
  readonly labels: Labels;
  /** Observations by upper bound, not cumulative. The last bound is infinite. */
  readonly buckets: readonly (readonly [upTo: number, count: number])[];
  readonly sum: number;
};

type Named = {
  /** Ends with the unit, if there is one. In the text, `_total` follows a counter's name. */
  readonly name: string;
  readonly unit?: 'seconds' | 'bytes';
  readonly help: string;
  readonly labels: readonly LabelName[];
};

/** A MetricFamily of OpenMetrics 1.0. A state set has its state in the label of its own name. */
export type Family =
  | (Named & {
      readonly type: 'gauge' | 'counter' | 'info' | 'stateset';
      points(facts: MetricFacts): Iterable<Point>;
    })
  | (Named & { readonly type: 'histogram'; points(facts: MetricFacts): Iterable<HistogramPoint> });

/** All labels, with their meanings. */
export const LABELS = {
  vm: 'name of the VM',
  vcpu: 'index of the vCPU, from 0',
  mode: 'what the CPU was doing',
  reason: 'exit reason: KVM_EXIT_* (linux/kvm.h) without the prefix',
  device: 'name of the device in the VM',
  queue: 'name of the virtqueue in the device',
  direction: '`read` and `write` from the point of view of the guest; `to_guest` and `from_guest` for data',
  space: '`port` or `memory`',
  address: 'port or guest-physical address, in hexadecimal',
  size: 'page size in bytes',
  resource: '`cpu`, `memory` or `io`',
  tasks: '`some`: at least one task was stalled; `full`: all non-idle tasks were',
  statistic: 'name of the statistic',
  host_address: 'PCI address on the host',
  api: '`group` or `iommufd`',
  kind: '`intx`, `msi` or `msix`',
  vector: 'number of the interrupt vector',
  posted: '`yes`: the IOMMU may post interrupts to running vCPUs, which the host does not count',
  version: 'version of vring',
  vring_vm_state: 'one series for each state: 1 for the current one, 0 for the others',
} as const;

export type LabelName = keyof typeof LABELS;
