import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmulatedHost } from '../../../rig/emulated-host.ts';
import { HOST_STATE } from '../../../rig/host-state.ts';
import { DIGEST_PORT, dhcp, FILE_PORT, PEER, PEER_FILE, startPeer } from '../../../rig/peer.ts';
import { AGENT_GUEST, SerialGuest, SPINNING_GUEST } from '../../../rig/serial-guest.ts';
import { missingForRig } from '../../../rig/tools.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

const igb = '0000:01:00.0';
const vf = '0000:01:10.0';
const mac = '02:00:00:00:00:77';
const nvme = '0000:02:00.0';
const nvmeVf = '0000:02:00.1';
const isSoak = process.env.VRING_SOAK_ROUNDS !== undefined;
/** A plug takes about 12 seconds, a reboot 10. */
const [PLUGS, REBOOTS] = isSoak ? [5, 10] : [3, 4];
/** To and from NVMe. A MiB takes about half a second. */
const MIB = isSoak ? 64 : 16;

describe.skipIf(missing !== null)('host VFs in a Linux guest', () => {
  let host: EmulatedHost;
  let guest: SerialGuest;
  let before = '';

  beforeAll(async () => {
    host = await EmulatedHost.boot({
      devices: ['iommu', 'igb', 'nvme', 'virtio-net'],
      modules: ['kvm-amd', 'vfio-pci', 'vfio_iommu_type1', 'iommufd'],
      // Other tests of passthrough have groups and containers, as Debian's kernel has them.
      iommufd: true,
      nvmeCli: true,
    });
    await startPeer(host);
    await host.check(`
      pf=/sys/bus/pci/devices/${igb}; interface=$(ls $pf/net)
      /bin/ip link set $interface up
      until [ "$(cat $pf/net/*/carrier)" = 1 ]; do sleep 0.1; done
      echo 0 >$pf/sriov_drivers_autoprobe; echo 2 >$pf/sriov_numvfs
      /bin/ip link set $interface vf 0 mac ${mac}
      cd /sys/bus/pci/devices/${nvme}; echo 0 >sriov_drivers_autoprobe; echo 1 >sriov_numvfs`);
    before = await host.check(HOST_STATE);
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
  /** The guest's part of a round, in one script, since each takes a while. */
  const connect = async () => {
    const printed = await guest.check(`
      until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done; ${dhcp('eth0')} && ping -c 1 -W 5 ${PEER}`);
    expect(printed).toContain('1 packets received');
  };

  test('igbvf drives a VF with its three MSI-X vectors and the MAC address set by the host', async () => {
    expect(await guest.check('ls /sys/bus/pci/drivers/igbvf | grep :')).toMatch(/^0000:\S+\n?$/);
    expect(await guest.check('cat /sys/class/net/eth0/address')).toContain(mac);
    const { vms } = JSON.parse(await vring('vm show net --json'));
    expect(vms).toMatchObject([{ hostDevices: [{ address: vf, api: 'iommufd' }] }]);
    await guest.check('ip link set eth0 up');
    expect((await interrupts()).split('\n').map(line => line.split(' ')[0])).toEqual([
      'eth0-tx-0',
      'eth0-rx-0',
      'eth0',
    ]);
    expect(await hostInterrupts()).toHaveLength(3);
  }, 600_000);

  test('the guest gets an address by DHCP, and reaches the peer, with the interrupts of the VF', async () => {
    expect(await guest.check(dhcp('eth0'))).toContain(`obtained from ${PEER}`);
    const [counted, there] = [sum(await hostInterrupts()), await interrupts()];
    expect(await guest.check(`ping -c 5 -W 5 ${PEER}`)).toContain('5 packets received');
    expect(sum(await hostInterrupts())).toBeGreaterThanOrEqual(counted + 5);
    expect(await interrupts()).not.toBe(there);
  }, 600_000);

  test('TCP transfers a mebibyte in each direction intact', async () => {
    // One script: the MiB's digest here and there, and that of what the peer offers.
    const printed = await guest.check(`
      head -c 1048576 /dev/urandom >/tmp/data; sha256sum </tmp/data; nc ${PEER} ${DIGEST_PORT} </tmp/data;
      nc ${PEER} ${FILE_PORT} </dev/null | sha256sum`);
    const [sent, answered, received] = [...printed.matchAll(/^([0-9a-f]{64}) /gm)].map(
      ([, digest]) => digest,
    );
    expect(sent).toBeDefined();
    expect(answered).toBe(sent);
    const offered = await host.check(`test $(wc -c <${PEER_FILE}) = 1048576 && sha256sum ${PEER_FILE}`);
    expect(received).toBe(offered.split(' ')[0]);
    expect(received).not.toBe(sent);
  }, 600_000);

  test('a VF is unplugged under traffic and plugged in again, several times', async () => {
    const received = '/sys/class/net/eth0/statistics/rx_bytes';
    for (let round = 1; round <= PLUGS; round++) {
      await guest.check(`
        before=$(cat ${received});
        (while [ -e /sys/class/net/eth0 ]; do nc -w 1 ${PEER} ${FILE_PORT} </dev/null; done >/dev/null 2>&1) &
        until [ $(cat ${received}) -gt $((before + 100000)) ]; do sleep 0.1; done`);
      await vring('vm detach net nic --wait 200');
      expect(await guest.check('killall nc; ls /sys/class/net')).not.toContain('eth');
      expect(await host.check(HOST_STATE)).toBe(before);
      await vring(`vm attach net --pci ${vf} --id nic`);
      await connect();
    }
  }, 3_600_000);

  test('a VF works after each of several guest reboots', async () => {
    const boots = new Set<string>();
    for (let boot = 2; boot <= 1 + REBOOTS; boot++) {
      await guest.send('reboot -f');
      boots.add(await guest.booted(boot));
      await connect();
    }
    expect(boots.size).toBe(REBOOTS);
  }, 3_600_000);

  test('a VF of an NVMe controller is refused until it has queues, with the commands that assign them', async () => {
    const { status, stderr } = await host.run(`vring vm attach net --pci ${nvmeVf} --id disk`, {
      seconds: 300,
    });
    expect(status, stderr).toBe(1);
    expect(stderr).toContain(`${nvmeVf}: it is offline, with 0 queues and 0 interrupts of its PF`);
    const commands = [...stderr.matchAll(/nvme virt-mgmt [^;)]+/g)].map(([command]) => command);
    expect(commands).toHaveLength(3);
    await host.check(commands.join(' && '));
  }, 600_000);

  test('the guest then writes to it, and reads the data back', async () => {
    await vring(`vm attach net --pci ${nvmeVf} --id disk`);
    // Each MiB is another one, at the cost of one.
    const content =
      'head -c 1048568 /dev/urandom >/tmp/block; ' +
      `for i in $(seq 1 ${MIB}); do printf '%8d' $i; cat /tmp/block; done`;
    const printed = await guest.check(
      `until [ -e /dev/nvme0n1 ]; do sleep 0.1; done; (${content}) | tee /dev/nvme0n1 | md5sum; sync;
       echo 3 >/proc/sys/vm/drop_caches; head -c ${MIB * 2 ** 20} /dev/nvme0n1 | md5sum`,
      { seconds: 900 },
    );
    const [written, read] = [...printed.matchAll(/^([0-9a-f]{32}) /gm)].map(([, digest]) => digest);
    expect(written).toBeDefined();
    expect(read).toBe(written);
    expect(await host.check(`grep -c '(${nvmeVf})' /proc/interrupts`)).toBe('1\n');
  }, 1_500_000);

  test('killing the manager takes nothing from the guest', async () => {
    const address = (
      await guest.check("ip -o -4 addr show eth0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/'")
    ).trim();
    await host.check(`kill -9 ${await host.pid('vring serve')}`);
    expect(await host.check(`ping -c 3 -W 5 ${address}`)).toContain('3 packets received');
    expect(await vring('vm list')).toMatch(/^net +running/m);
    expect(await host.check(`basename $(readlink /sys/bus/pci/devices/${vf}/driver)`)).toBe('vfio-pci\n');
    expect(await host.check(`ping -c 3 -W 5 ${address}`)).toContain('3 packets received');
  }, 600_000);

  test('the next manager gives back the VFs of a machine that is killed, too, and they can be used again', async () => {
    // The manager was killed before, and the machine has gone on without one.
    await host.check(`kill -9 ${await host.pid('vring: net')}`);
    await host.startManager();
    expect(await vring('vm list')).not.toMatch(/^net +running/m);
    const gone = `
      for vf in ${vf} ${nvmeVf}; do
        until [ "$(cat /sys/bus/pci/devices/$vf/driver_override)" = '(null)' ]; do sleep 0.2; done
      done`;
    await host.check(gone, { seconds: 120 });
    expect(await host.check(HOST_STATE)).toBe(before);
    await vring(`run --detach --name again ${SPINNING_GUEST} -device vfio-pci,host=${vf}`);
    expect(await vring('vm list')).toMatch(/^again +running/m);
    await host.check(`kill -9 ${await host.pid('vring: again')}`);
    await host.check(gone, { seconds: 120 });
    expect(await host.check(HOST_STATE)).toBe(before);
  }, 900_000);
});
