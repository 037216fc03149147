import type { Family } from './metric.ts';

/** The host and the manager. */
export const HOST_METRICS: readonly Family[] = [
  {
    name: 'vring_build',
    type: 'info',
    help: 'Version of vring.',
    labels: ['version'],
    points: ({ version }) => [{ labels: { version }, value: 1 }],
  },
  {
    name: 'vring_manager_start_time_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'Start time of the manager, in seconds since 1970; absent while none runs.',
    labels: [],
    points: ({ manager }) => (manager === null ? [] : [{ labels: {}, value: manager.startedAt / 1000 }]),
  },
  {
    name: 'vring_host_cpus',
    type: 'gauge',
    help: 'Online CPUs.',
    labels: [],
    points: ({ host }) => [{ labels: {}, value: host.cpus }],
  },
  {
    name: 'vring_host_cpu_seconds',
    type: 'counter',
    unit: 'seconds',
    help: 'CPU time since boot, over all CPUs, by mode; guest time is part of user and nice.',
    labels: ['mode'],
    points: ({ host }) =>
      Object.entries(host.cpuSeconds).map(([mode, value]) => ({ labels: { mode }, value })),
  },
  {
    name: 'vring_host_memory_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Total memory.',
    labels: [],
    points: ({ host }) => [{ labels: {}, value: host.memory.totalBytes }],
  },
  {
    name: 'vring_host_memory_available_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory available without swapping (MemAvailable).',
    labels: [],
    points: ({ host }) => [{ labels: {}, value: host.memory.availableBytes }],
  },
  {
    name: 'vring_host_hugepages',
    type: 'gauge',
    help: 'Huge pages in the pool, free or not.',
    labels: ['size'],
    points: ({ host }) =>
      host.hugepages.map(({ pageBytes, total }) => ({ labels: { size: String(pageBytes) }, value: total })),
  },
  {
    name: 'vring_host_hugepages_free',
    type: 'gauge',
    help: 'Free huge pages.',
    labels: ['size'],
    points: ({ host }) =>
      host.hugepages.map(({ pageBytes, free }) => ({ labels: { size: String(pageBytes) }, value: free })),
  },
  {
    name: 'vring_host_ksm_saved_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory saved by kernel same-page merging (KSM).',
    labels: [],
    points: ({ host }) => (host.ksmSavedBytes === null ? [] : [{ labels: {}, value: host.ksmSavedBytes }]),
  },
  {
    name: 'vring_host_stalled_seconds',
    type: 'counter',
    unit: 'seconds',
    help: 'Time during which tasks were stalled on a resource (pressure stall information).',
    labels: ['resource', 'tasks'],
    points: ({ host }) =>
      host.stalled.map(({ resource, tasks, seconds }) => ({ labels: { resource, tasks }, value: seconds })),
  },
];
