import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmulatedHost } from '../../../rig/emulated-host.ts';
import { DIGEST_PORT, dhcp, FILE_PORT, PEER, PEER_FILE, startPeer } from '../../../rig/peer.ts';
import { AGENT_GUEST, SerialGuest } from '../../../rig/serial-guest.ts';
import { missingForRig } from '../../../rig/tools.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

const igb = '0000:01:00.0';
const vf = '0000:01:10.0';
const mac = '02:00:00:00:00:77';

describe.skipIf(missing !== null)('a VF of a network card, in a Linux guest', () => {
  let host: EmulatedHost;
  let guest: SerialGuest;

  beforeAll(async () => {
    host = await EmulatedHost.boot({
      devices: ['iommu', 'igb', 'virtio-net'],
      modules: ['kvm-amd', 'vfio-pci', 'vfio_iommu_type1'],
    });
    await startPeer(host);
    await host.check(`
      pf=/sys/bus/pci/devices/${igb}; interface=$(ls $pf/net)
      /bin/ip link set $interface up
      until [ "$(cat $pf/net/*/carrier)" = 1 ]; do sleep 0.1; done
      echo 0 >$pf/sriov_drivers_autoprobe; echo 2 >$pf/sriov_numvfs
      /bin/ip link set $interface vf 0 mac ${mac}`);
    await host.startManager();
    await vring(`run --detach --name net ${AGENT_GUEST} -device vfio-pci,host=${vf},id=nic`);
    guest = await SerialGuest.connect(host, 'vring vm console net');
    await guest.booted();
  }, 600_000);

  afterAll(async () => {
    await host?.close();
  });

  const vring = (args: string) => host.check(`vring ${args}`, { seconds: 300 });
  /** The names of the VF's interrupts in the guest, with their counts. */
  const interrupts = async () =>
    (
      await guest.check(`sed -n 's/^ *[0-9]*: *\\([0-9]*\\).*MSIX.* \\([^ ]*\\)$/\\2 \\1/p' /proc/interrupts`)
    ).trim();
  /** The interrupts of the VF in the host. */
  const hostInterrupts = async () =>
    [...(await host.check(`grep -F '(${vf})' /proc/interrupts`)).matchAll(/^ *\d+: +(\d+)/gm)].map(
      ([, count]) => Number(count),
    );
  const sum = (counts: readonly number[]) => counts.reduce((all, count) => all + count, 0);

  test('igbvf drives it, with its three MSI-X vectors, and the MAC address that the host gave it', async () => {
    expect(await guest.check('ls /sys/bus/pci/drivers/igbvf | grep :')).toMatch(/^0000:\S+\n?$/);
    expect(await guest.check('cat /sys/class/net/eth0/address')).toContain(mac);
    await guest.check('ip link set eth0 up');
    expect((await interrupts()).split('\n').map(line => line.split(' ')[0])).toEqual([
      'eth0-tx-0',
      'eth0-rx-0',
      'eth0',
    ]);
    expect(await hostInterrupts()).toHaveLength(3);
  }, 600_000);

  test('the guest gets an address by DHCP, and reaches the peer, by the interrupts of the VF', async () => {
    expect(await guest.check(dhcp('eth0'))).toContain(`obtained from ${PEER}`);
    const [counted, there] = [sum(await hostInterrupts()), await interrupts()];
    expect(await guest.check(`ping -c 5 -W 5 ${PEER}`)).toContain('5 packets received');
    expect(sum(await hostInterrupts())).toBeGreaterThanOrEqual(counted + 5);
    expect(await interrupts()).not.toBe(there);
  }, 600_000);

  test('TCP carries a mebibyte in each direction, unharmed', async () => {
    await guest.check('dd if=/dev/urandom of=/tmp/data bs=1M count=1');
    const digest = async (file: string, on: Pick<EmulatedHost, 'check'> | SerialGuest) =>
      (await on.check(`test $(wc -c <${file}) = 1048576 && sha256sum ${file}`)).split(' ')[0]!.trim();
    const sent = await digest('/tmp/data', guest);
    expect(await guest.check(`nc ${PEER} ${DIGEST_PORT} </tmp/data`)).toContain(sent);
    const offered = await digest(PEER_FILE, host);
    expect(offered).not.toBe(sent);
    expect(await guest.check(`nc ${PEER} ${FILE_PORT} </dev/null | sha256sum`)).toContain(offered);
  }, 600_000);
});
