import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { RemoteTerminal } from '../host/rig/remote-terminal.ts';
import { EmulatedHost } from '../rig/emulated-host.ts';
import { PipedVm } from '../rig/piped-vm.ts';
import { missingForRig } from '../rig/tools.ts';
import { pngPixels } from '../support/png-pixels.ts';

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
  NVMe: {
    options: `-drive ${DISK},if=none,id=d -device nvme,drive=d,serial=NVME,bootindex=1`,
    place: 'nvme0n1p1 of nvme',
  },
} as const;

/** A vendor's GUID: firmware refuses variables of its own that it does not know. */
const VENDOR = '6f1c2f5e-8a3b-4c57-9a3e-1d5b0c7e2a94';
const FLASH = '/tmp/variables.fd';
const UEFI = [
  '-drive if=pflash,unit=0,readonly=on,format=raw,file=/share/OVMF/OVMF_CODE_4M.fd',
  `-drive if=pflash,unit=1,format=raw,file=${FLASH}`,
].join(' ');

/** Network cards with what drives them before Linux does. */
const CARDS = {
  'e1000 by the ROM of iPXE': 'e1000',
  'e1000e by the ROM of iPXE': 'e1000e',
  'virtio-net by the ROM of iPXE': 'virtio-net-pci',
  'virtio-net by a driver of OVMF': 'virtio-net-pci,romfile=',
} as const;
const TFTP = '/srv/tftp';
const MAC = '52:54:00:00:00:0a';

/** Of the text of an EFI program on red (edk2: MdeModulePkg/Universal/Console/GraphicsConsoleDxe, mGraphicsEfiColors). */
const RED = 0x98_0000;
/** What Debian on the disk draws (test/rig/grub-disk.ts). */
const DRAWN = 0x15_1515;

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

  /** Starts a TPM for a VM, which ends with it. @returns the options for that */
  const newTpm = async (model: string) => {
    await host.check(
      `rm -rf /tmp/tpm; mkdir /tmp/tpm
       swtpm socket --tpm2 --terminate --daemon --ctrl type=unixio,path=/tmp/tpm/socket --tpmstate dir=/tmp/tpm`,
    );
    return `-chardev socket,id=tpm,path=/tmp/tpm/socket -tpmdev emulator,id=tpm,chardev=tpm -device ${model},tpmdev=tpm`;
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

  test.each([
    ['virtio-blk', 'none'],
    ['AHCI', 'tpm-tis'],
    ['NVMe', 'none'],
  ] as const)('start Debian by OVMF and GRUB from a disk on %s, TPM: %s', TIMEOUT, async (bus, tpm) => {
    await newVariables();
    const { options, place } = DISKS[bus];
    const vm = await start(`${UEFI} -m 256 -vga none ${options} ${tpm === 'none' ? '' : await newTpm(tpm)}`);
    await vm.waitFor('debian login: ', SECONDS);
    await vm.type('root\\r');
    await vm.waitFor(`on ${place}`, SECONDS);
    if (tpm !== 'none') {
      // Firmware and GRUB have measured what they start.
      await vm.type('measured\\r');
      await vm.waitFor('measured 0 4 8', SECONDS);
    }
    // By ACPI, whose tables OVMF has handed on.
    await vm.type('poweroff -f\\r');
    expect(await vm.ended(SECONDS)).toBe(0);
  });

  test.each(Object.entries(CARDS))(
    'start GRUB by OVMF from the network, %s, and GRUB its menu',
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

    /** Waits until most of it has a color. */
    const waitForColor = async (name: string, color: number) => {
      for (let share = 0; share < 0.9; ) {
        await vring(`vm screenshot ${name} /tmp/screen.png`);
        share = shareOf(color, Buffer.from(await host.check('base64 /tmp/screen.png'), 'base64'));
      }
    };

    test('show the colors of the shell of OVMF on virtio-gpu', TIMEOUT, async () => {
      await newVariables();
      await vring(`run --detach --name shell ${UEFI} -m 256 -vga none -device virtio-gpu-pci`);
      const console = await RemoteTerminal.start(host, 'vring vm console shell', 80, 25);
      await console.waitFor(/Shell>/, SECONDS);
      await console.press('cls 4', 'Enter');
      await waitForColor('shell', RED);
      await console.close();
      await vring('vm kill shell');
    });

    test('show what Debian draws, which OVMF has started with a TPM and virtio-vga', TIMEOUT, async () => {
      await newVariables();
      const { options, place } = DISKS['virtio-blk'];
      await vring(
        `run --detach --name disk ${UEFI} -m 256 -vga virtio ${options} ${await newTpm('tpm-crb')}`,
      );
      const console = await RemoteTerminal.start(host, 'vring vm console disk', 80, 25);
      await console.waitFor(/debian login:/, SECONDS);
      await console.press('root', 'Enter');
      await console.waitFor(new RegExp(`on ${place}`), SECONDS);
      await console.press('measured', 'Enter');
      await console.waitFor(/measured 0 4 8/, SECONDS);
      await console.press('draw', 'Enter');
      await console.waitFor(/drawn on 0 virtio_gpudrmfb/, SECONDS);
      await waitForColor('disk', DRAWN);
      await console.close();
      await vring('vm kill disk');
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

/** How much of a PNG picture has a color: 0 to 1. */
function shareOf(wanted: number, png: Buffer): number {
  const { width, height, color } = pngPixels(png);
  let count = 0;
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) count += Number(color(x, y) === wanted);
  return count / (width * height);
}
