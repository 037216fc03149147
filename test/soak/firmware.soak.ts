import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { RemoteTerminal } from '../host/rig/remote-terminal.ts';
import { EmulatedHost } from '../rig/emulated-host.ts';
import { PipedVm } from '../rig/piped-vm.ts';
import { missingForRig } from '../rig/tools.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

/** How long each step may take on a busy machine, in seconds. */
const SECONDS = 1200;
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

/** A vendor's GUID: firmware refuses variables of its own that it does not know. */
const VENDOR = '6f1c2f5e-8a3b-4c57-9a3e-1d5b0c7e2a94';
const FLASH = '/tmp/variables.fd';
const UEFI = [
  '-drive if=pflash,unit=0,readonly=on,format=raw,file=/share/OVMF/OVMF_CODE_4M.fd',
  `-drive if=pflash,unit=1,format=raw,file=${FLASH}`,
].join(' ');

/** Network cards, which have the ROM of iPXE. */
const CARDS = {
  e1000: 'e1000',
  'virtio-net': 'virtio-net-pci',
} as const;
const TFTP = '/srv/tftp';
const MAC = '52:54:00:00:00:0a';

describe.skipIf(missing !== null)('VMs in the emulated host', () => {
  let host: EmulatedHost;

  beforeAll(async () => {
    host = await EmulatedHost.boot({ modules: ['kvm-amd', 'tun'], firmware: true, bootMedia: true });
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

  const newVariables = () => host.check(`cp /share/OVMF/OVMF_VARS_4M.fd ${FLASH}`);

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

  test('start Debian by OVMF and GRUB from a disk on virtio-blk, up to its login', TIMEOUT, async () => {
    await newVariables();
    const vm = await start(`${UEFI} -m 256 -vga none ${DISKS['virtio-blk'].options}`);
    await vm.waitFor('debian login: ', SECONDS);
    await vm.type('root\\r');
    await vm.waitFor(`on ${DISKS['virtio-blk'].place}`, SECONDS);
    // By ACPI, whose tables OVMF has handed on.
    await vm.type('poweroff -f\\r');
    expect(await vm.ended(SECONDS)).toBe(0);
  });

  test.each(Object.entries(CARDS))(
    'start GRUB by OVMF from the network by %s, and GRUB its menu',
    TIMEOUT,
    async (_, card) => {
      await newVariables();
      await host.check(`mkdir -p ${TFTP}/grub; cp /boot/grubnetx64.efi ${TFTP}/grub.efi
        echo 'echo "menu of $net_default_mac from $root"; halt' >${TFTP}/grub/grub.cfg`);
      const vm = await start(
        `${UEFI} -m 256 -vga none -device ${card},netdev=n,mac=${MAC},bootindex=1 -netdev user,id=n,tftp=${TFTP},bootfile=grub.efi`,
      );
      await vm.waitFor(`menu of ${MAC} from tftp,10.0.2.2`, SECONDS);
      expect(await vm.ended(SECONDS)).toBe(0);
    },
  );

  test(
    'run the shell of OVMF, which keeps variables over a reset and the end of the VM',
    TIMEOUT,
    async () => {
      await newVariables();
      const vm = await start(`${UEFI} -m 256 -vga none`);
      await vm.waitFor('Shell> ', SECONDS);
      await vm.type(`setvar vring -guid ${VENDOR} -bs -rt -nv =0x1a2b3c4d\\rreset\\r`);
      await vm.waitFor('UEFI Interactive Shell', SECONDS, 2);
      await vm.waitFor('Shell> ', SECONDS, 3);
      await vm.type(`setvar vring -guid ${VENDOR}\\r`);
      await vm.waitFor('4D 3C 2B 1A', SECONDS);
      await vm.type('reset -s\\r');
      expect(await vm.ended(SECONDS)).toBe(0);

      const next = await start(`${UEFI} -m 256 -vga none`);
      await next.waitFor('Shell> ', SECONDS);
      await next.type(`setvar vring -guid ${VENDOR}\\r`);
      await next.waitFor('4D 3C 2B 1A', SECONDS);
    },
  );

  describe('on their screen', () => {
    beforeAll(() => host.startManager(), TIMEOUT.timeout);

    const vring = (args: string) => host.check(`vring ${args}`, { seconds: SECONDS });

    test('run memtest86+, a kernel that firmware boots', TIMEOUT, async () => {
      await vring(
        'run --detach --name memtest -m 64 -bios bios-256k.bin -kernel /boot/memtest86+x64.bin -vga std',
      );
      const screen = await RemoteTerminal.start(host, 'vring vm screen memtest', 80, 25);
      const text = await screen.waitFor(/Testing: .* of 63\.\d+MB[\s\S]*Errors: 0$/m, SECONDS);
      expect(text).toContain('Memtest86+ v');
      await screen.close();
      await vring('vm kill memtest');
    });

    test("show the menu of an installer's CD, which takes keys", TIMEOUT, async () => {
      await vring('vm create debian --iso /boot/installer.iso --memory 256M --disk-size 64M --network none');
      await vring('vm start debian');
      const screen = await RemoteTerminal.start(host, 'vring vm screen debian', 80, 25);
      // A picture, which this terminal draws by punctuation.
      await screen.waitFor(/([.:])\1{9}/, SECONDS);
      await vring('vm screenshot debian /tmp/menu.png');
      const size = await host.check('od -An -tu1 -j16 -N8 /tmp/menu.png');
      expect(size.trim().split(/ +/)).toEqual(['0', '0', '2', '128', '0', '0', '1', '224']); // 640 by 480
      await screen.press('h', 'Enter');
      await screen.waitFor(/Welcome to Debian GNU\/Linux!/, SECONDS);
      await screen.close();
      await vring('vm kill debian');
    });
  });
});
