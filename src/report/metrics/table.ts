import { ACCESS_METRICS } from './access-metrics.ts';
import { BALLOON_METRICS } from './balloon-metrics.ts';
import { HOST_DEVICE_METRICS } from './host-device-metrics.ts';
import { HOST_METRICS } from './host-metrics.ts';
import type { Family } from './metric.ts';
import { QUEUE_METRICS } from './queue-metrics.ts';
import { VCPU_METRICS } from './vcpu-metrics.ts';
import { VM_METRICS } from './vm-metrics.ts';

/** All metrics, in the order of the text and docs/metrics.md. */
export const METRICS: readonly { readonly title: string; readonly families: readonly Family[] }[] = [
  { title: 'Host and manager', families: HOST_METRICS },
  { title: 'VMs', families: VM_METRICS },
  { title: 'vCPUs', families: VCPU_METRICS },
  { title: 'Accesses by region and by address, and device statistics', families: ACCESS_METRICS },
  { title: 'Virtqueues', families: QUEUE_METRICS },
  { title: 'Balloons', families: BALLOON_METRICS },
  { title: 'Host devices', families: HOST_DEVICE_METRICS },
];
