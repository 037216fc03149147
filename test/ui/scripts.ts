import type { Script } from './fake-engine.ts';

const IO = 2;
const MMIO = 6;
const X86_RDMSR = 29;

/** A VM with a busy disk. */
export const busy: Script = {
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

/** A VM that does next to nothing. */
export const idle: Script = { vcpus: [{ exits: {}, guest: 0, kvm: 0 }] };

export function withVcpus(count: number): Script {
  return { ...busy, vcpus: Array.from({ length: count }, () => busy.vcpus[0]!) };
}
