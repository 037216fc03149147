import type { Family } from './metric.ts';

/** The host, and the process that runs the VMs. */
export const HOST_METRICS: readonly Family[] = [
  {
    name: 'vring_build',
    type: 'info',
    help: 'The version of vring.',
    labels: ['version'],
    points: ({ version }) => [{ labels: { version }, value: 1 }],
  },
  {
    name: 'vring_manager_start_time_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'When the process that runs the VMs was started, since 1970; missing when there is none.',
    labels: [],
    points: ({ manager }) => (manager === null ? [] : [{ labels: {}, value: manager.startedAt / 1000 }]),
  },
  {
    name: 'vring_host_cpus',
    type: 'gauge',
    help: 'CPUs of the host that are online.',
    labels: [],
    points: ({ host }) => [{ labels: {}, value: host.cpus }],
  },
  {
    name: 'vring_host_cpu_seconds',
    type: 'counter',
    unit: 'seconds',
    help: 'Time of all CPUs of the host since its boot, by mode; guests are in user and nice.',
    labels: ['mode'],
    points: ({ host }) =>
      Object.entries(host.cpuSeconds).map(([mode, value]) => ({ labels: { mode }, value })),
  },
  {
    name: 'vring_host_memory_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory of the host.',
    labels: [],
    points: ({ host }) => [{ labels: {}, value: host.memory.totalBytes }],
  },
  {
    name: 'vring_host_memory_available_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory of the host that can be had without swapping.',
    labels: [],
    points: ({ host }) => [{ labels: {}, value: host.memory.availableBytes }],
  },
  {
    name: 'vring_host_hugepages',
    type: 'gauge',
    help: 'Huge pages that are set aside, free or not.',
    labels: ['size'],
    points: ({ host }) =>
      host.hugepages.map(({ pageBytes, total }) => ({ labels: { size: String(pageBytes) }, value: total })),
  },
  {
    name: 'vring_host_hugepages_free',
    type: 'gauge',
    help: 'Huge pages that nobody has.',
    labels: ['size'],
    points: ({ host }) =>
      host.hugepages.map(({ pageBytes, free }) => ({ labels: { size: String(pageBytes) }, value: free })),
  },
  {
    name: 'vring_host_ksm_saved_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory that same-page merging (KSM) saves.',
    labels: [],
    points: ({ host }) => (host.ksmSavedBytes === null ? [] : [{ labels: {}, value: host.ksmSavedBytes }]),
  },
  {
    name: 'vring_host_stalled_seconds',
    type: 'counter',
    unit: 'seconds',
    help: 'Time in which tasks of the host waited for a resource (pressure stall information).',
    labels: ['resource', 'tasks'],
    points: ({ host }) =>
      host.stalled.map(({ resource, tasks, seconds }) => ({ labels: { resource, tasks }, value: seconds })),
  },
];
