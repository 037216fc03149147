import { parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import type { FileIdentity } from '../../../src/vmm/snapshot/file-identity.ts';
import type { Surroundings } from '../../../src/vmm/snapshot/fit.ts';
import { FORMAT, type Manifest } from '../../../src/vmm/snapshot/manifest.ts';

export function identityWith(change: Partial<FileIdentity> = {}): FileIdentity {
  return { size: 100, ino: '7', mtime: '1700000000000000000', ctime: '1700000000000000001', ...change };
}

const RAM_BYTES = 64 * 2 ** 20;

/** A manifest of a VM with one disk, which is not in it. */
export function manifestWith(change: Partial<Manifest> = {}): Manifest {
  return {
    format: FORMAT,
    vring: '0.1.0',
    vm: 'web',
    name: 'first',
    kind: 'snapshot',
    automatic: false,
    createdAt: 1_700_000_000_000,
    parent: null,
    paused: false,
    config: parseMachineConfig({
      name: 'web',
      memory: { bytes: RAM_BYTES },
      boot: { kind: 'kernel', path: '/boot/vmlinux', initrd: '/boot/initrd' },
      devices: [{ type: 'virtio-blk', path: '/images/web.img' }],
    }),
    definition: null,
    cpu: { vendor: 'GenuineIntel', features: ['sse2', 'avx'] },
    state: { bytes: 100, sha256: 'a'.repeat(64) },
    ram: {
      bytes: RAM_BYTES,
      written: 2 ** 20,
      identity: identityWith({ size: RAM_BYTES }),
      sums: 'b'.repeat(64),
    },
    disks: [
      {
        path: '/images/web.img',
        readonly: false,
        isBlockDevice: false,
        size: 100,
        identity: identityWith(),
        copy: null,
      },
    ],
    ...change,
  };
}

/** Everything as `manifestWith` left it. */
export function surroundingsWith(change: Partial<Surroundings> = {}): Surroundings {
  return {
    state: identityWith(),
    ram: identityWith({ size: RAM_BYTES }),
    ramSums: identityWith(),
    disk: () => identityWith(),
    copy: () => identityWith(),
    exists: () => true,
    cpu: { vendor: 'GenuineIntel', features: ['sse2', 'avx', 'avx2'] },
    ...change,
  };
}
