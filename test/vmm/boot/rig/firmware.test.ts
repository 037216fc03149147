import { afterAll, afterEach, beforeAll, describe, test } from 'vitest';
import { EmulatedHost } from '../../../rig/emulated-host.ts';
import { PipedVm } from '../../../rig/piped-vm.ts';
import { missingForRig } from '../../../rig/tools.ts';
import { networkOfIpxe, startBootServer } from './boot-server.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

/** How long each may take on a busy machine, in seconds. */
const SECONDS = 600;
const TIMEOUT = { timeout: 2 * SECONDS * 1000 };

/** The models by -net nic's names, and what iPXE calls them. */
const CARDS = {
  virtio: 'virtio-net',
  e1000: '82540em',
  i82551: '82559er',
  ne2k_pci: 'rtl8029',
  pcnet: 'pcnet32',
  rtl8139: 'rtl8139',
} as const;

/** `npm run soak` has the slowest card fetch as much as the others. */
const isLong = process.env.VRING_SOAK_ROUNDS !== undefined;

describe.skipIf(missing !== null)('foreign firmware in VMs', () => {
  let host: EmulatedHost;
  let checksum: (chip: string) => string;

  beforeAll(async () => {
    host = await EmulatedHost.boot({ modules: ['kvm-amd', 'tun'], firmware: true });
    checksum = await startBootServer(host, isLong ? {} : { [CARDS.ne2k_pci]: 2 ** 16 });
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

  test(
    'iPXE in the ROM of each card model boots by DHCP, TFTP and HTTP, and fetches a mebibyte intact',
    TIMEOUT,
    async () => {
      const cards = Object.keys(CARDS).map(model => `-net nic,model=${model}`);
      const vm = await start(`-m 96 -vga std -boot n ${cards.join(' ')} -net ${networkOfIpxe}`);
      // The kernel has the BIOS go on with the next card. iPXE has NE2000s move each word by itself, and each is an exit: they get less.
      for (const chip of Object.values(CARDS)) await vm.waitFor(`${chip} crc ${checksum(chip)}`, SECONDS);
    },
  );

  // `npm run soak` boots by the ROM of that card.
  test('ipxe.lkrn boots by -kernel, and drives an e1000e', TIMEOUT, async () => {
    const vm = await start(
      `-m 64 -vga std -kernel /boot/ipxe.lkrn -device e1000e,netdev=n -netdev ${networkOfIpxe},id=n`,
    );
    await vm.waitFor(`82574l crc ${checksum('82574l')}`, SECONDS);
  });
});
