import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EmulatedHost } from '../rig/emulated-host.ts';
import { PipedVm } from '../rig/piped-vm.ts';
import { missingForRig } from '../rig/tools.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

/** How long each step may take on a busy machine, in seconds. */
const SECONDS = 600;
const TIMEOUT = { timeout: 2 * SECONDS * 1000 };

const DISK = 'file=/boot/debian.img,format=raw';
/** A disk on each bus: QEMU's options, and where Linux finds it. */
const DISKS = {
  'virtio-blk': { options: `-drive ${DISK},if=virtio`, place: 'vda1 of virtio-pci' },
  'virtio-scsi': {
    options: `-device virtio-scsi-pci -drive ${DISK},if=none,id=d -device scsi-hd,drive=d`,
    place: 'sda1 of virtio-pci',
  },
  IDE: { options: `-drive ${DISK},if=ide`, place: 'sda1 of ata_piix' },
  AHCI: {
    options: `-device ahci,id=sata -drive ${DISK},if=none,id=d -device ide-hd,drive=d,bus=sata.0`,
    place: 'sda1 of ahci',
  },
} as const;

describe.skipIf(missing !== null)('VMs in the emulated host', () => {
  let host: EmulatedHost;

  beforeAll(async () => {
    host = await EmulatedHost.boot({ modules: ['kvm-amd'], firmware: true, bootDisk: true });
  }, 600_000);

  afterAll(async () => {
    await host?.close();
  });

  const running: PipedVm[] = [];
  afterEach(async () => {
    for (const vm of running.splice(0)) await vm.kill();
  }, 300_000);

  const start = async (options: string) => {
    const vm = await PipedVm.start(host, options);
    running.push(vm);
    return vm;
  };

  test.each(Object.entries(DISKS))(
    'start Debian by SeaBIOS and GRUB from a disk on %s, up to its login',
    TIMEOUT,
    async (_, { options, place }) => {
      const vm = await start(`-m 256 -vga none ${options}`);
      await vm.waitFor('debian login: ', SECONDS);
      await vm.type('root\\r');
      await vm.waitFor(`on ${place}`, SECONDS);
      await vm.type('poweroff -f\\r');
      expect(await vm.ended(SECONDS)).toBe(0);
    },
  );
});
