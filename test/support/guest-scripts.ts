import type { DeviceLabel } from '../../src/vmm/machine/topology.ts';
import type { Script } from './fake-engine.ts';

const IO = 2;
const MMIO = 6;
const X86_RDMSR = 29;

const disk: DeviceLabel = {
  name: 'blk0',
  type: 'virtio-blk',
  title: 'virtio block device',
  backend: 'disk',
  bus: 'pci.0',
  address: '00:03.0',
  facts: [
    { label: 'path', value: '/srv/vms/database/root.raw' },
    { label: 'size', value: 10 * 2 ** 30, unit: 'bytes' },
    { label: 'format', value: 'raw' },
    { label: 'read-only', value: false },
  ],
};

/** A VM with a busy disk. */
export const busy: Script = {
  devices: [disk],
  vcpus: [
    {
      exits: {
        [IO]: { perSecond: 1200, nsEach: 20_000 },
        [MMIO]: { perSecond: 340, nsEach: 8000 },
        [X86_RDMSR]: { perSecond: 4, nsEach: 2000 },
      },
      guest: 0.8,
      kvm: 0.1,
    },
  ],
  queues: [
    {
      device: 'blk0',
      type: 'virtio-blk',
      queue: 'requests',
      requests: 20_000,
      kicks: 5000,
      interrupts: 4000,
      suppressed: 16_000,
      bytesToGuest: 80 * 2 ** 20,
      bytesFromGuest: 2 ** 20,
      inFlight: 32,
      bucket: 16,
    },
    {
      device: 'rng0',
      type: 'virtio-rng',
      queue: 'requests',
      requests: 4,
      kicks: 4,
      interrupts: 4,
      bytesToGuest: 256,
      bytesFromGuest: 0,
      inFlight: 1,
      bucket: 14,
    },
  ],
  regions: [
    { device: 'com1', start: 0x3f8, reads: 1000, writes: 200 },
    { device: 'rtc', start: 0x70, reads: 0, writes: 0 },
  ],
};

/** A nearly idle VM. */
export const idle: Script = { vcpus: [{ exits: {}, guest: 0, kvm: 0 }] };

export function withVcpus(count: number): Script {
  return { ...busy, vcpus: Array.from({ length: count }, () => busy.vcpus[0]!) };
}

/** A VM with content on every tab of its screen. */
export const complete: Script = {
  vcpus: [
    { ...busy.vcpus[0]!, thread: 4243, hostCpu: 2, bucket: 14 },
    {
      exits: { [IO]: { perSecond: 30, nsEach: 9000 } },
      guest: 0.1,
      kvm: 0.05,
      thread: 4244,
      hostCpu: 11,
      bucket: 13,
    },
  ],
  pinning: [2, 11],
  queues: busy.queues!.map(queue => ({ ...queue, batches: queue.kicks, kicksSuppressed: queue.kicks / 4 })),
  regions: [
    { device: 'com1', start: 0x3f8, reads: 1000, writes: 200 },
    { device: 'rtc', start: 0x70, reads: 12, writes: 12 },
    { device: 'unclaimed', start: 0, reads: 0, writes: 3 },
    { device: 'blk0', space: 'memory', start: 0xfe000000, reads: 0, writes: 340 },
  ],
  addresses: [
    { region: 0, address: 0x3f8, reads: 0, writes: 200, nsEach: 20_000 },
    { region: 0, address: 0x3fd, reads: 1000, writes: 0, nsEach: 5000 },
    { region: 1, address: 0x71, reads: 12, writes: 0, nsEach: 900 },
    { region: 2, address: 0x80, reads: 0, writes: 3, nsEach: 100 },
    { region: 3, address: 0xfe000014, reads: 0, writes: 340, nsEach: 40_000 },
  ],
  devices: [
    {
      name: 'com1',
      type: 'serial',
      title: 'serial port (16550A)',
      backend: null,
      bus: 'isa.0',
      address: null,
      facts: [],
    },
    disk,
    {
      name: 'rng0',
      type: 'virtio-rng',
      title: 'virtio entropy source',
      backend: null,
      bus: 'pci.0',
      address: '00:04.0',
      facts: [],
    },
  ],
};
