import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmulatedHost } from '../../../rig/emulated-host.ts';
import { HOST_STATE } from '../../../rig/host-state.ts';
import { DIGEST_PORT, dhcp, PEER, startPeer } from '../../../rig/peer.ts';
import { AGENT_GUEST, SerialGuest } from '../../../rig/serial-guest.ts';
import { missingForRig } from '../../../rig/tools.ts';
import { refusal } from './refusal.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

const nvme = '0000:01:00.0';
const e1000e = '0000:02:00.0';
/** One IOMMU group of two. */
const pair = ['0000:03:00.0', '0000:03:00.1'] as const;
const MIB = 64;

describe.skipIf(missing !== null)('host devices in a Linux guest', () => {
  let host: EmulatedHost;
  let guest: SerialGuest;
  let before = '';
  /** Of what the guest has written to the NVMe device. */
  let written = '';

  beforeAll(async () => {
    host = await EmulatedHost.boot({
      devices: ['iommu', 'nvme', 'e1000e', 'e1000e-pair', 'virtio-net'],
      modules: ['kvm-amd', 'vfio-pci', 'vfio_iommu_type1'],
    });
    await startPeer(host);
    before = await host.check(HOST_STATE);
    await host.startManager();
    await vring(
      `run --detach --name all ${AGENT_GUEST} -device vfio-pci,host=${nvme},id=disk -device vfio-pci,host=${e1000e},id=nic ` +
        `-device vfio-pci,host=${pair[0]},id=pair0,addr=5.0,multifunction=on -device vfio-pci,host=${pair[1]},id=pair1,addr=5.1`,
    );
    guest = await SerialGuest.connect(host, 'vring vm console all');
    await guest.booted();
  }, 900_000);

  afterAll(async () => {
    await host?.close();
  });

  const vring = (args: string) => host.check(`vring ${args}`, { seconds: 400 });
  const driver = async (address: string) =>
    (await host.check(`basename "$(readlink /sys/bus/pci/devices/${address}/driver)"`)).trim();
  /** The interface of a device, by its address in the guest. */
  const interfaceAt = async (address: string) =>
    (await guest.check(`ls /sys/bus/pci/devices/0000:00:${address}/net`)).trim();
  /** The host's interrupts of a device, with their counts. */
  const hostInterrupts = async (address: string) => {
    const lines = await host.check(`grep -F '(${address})' /proc/interrupts`);
    return [...lines.matchAll(/^ *\d+: +(\d+) .* (vfio-\w+)\S*$/gm)].map(([, count, kind]) => ({
      kind,
      count: Number(count),
    }));
  };
  /** Sends a digest's worth of data over TCP, and waits for its digest. */
  const checkNetwork = async (name: string) => {
    await guest.check(dhcp(name));
    expect(await guest.check(`ping -c 1 -W 5 ${PEER}`)).toContain('1 packets received');
    const sent = await guest.check('head -c 65536 /dev/urandom | tee /tmp/data | sha256sum');
    expect(await guest.check(`nc ${PEER} ${DIGEST_PORT} </tmp/data`)).toContain(sent.split(' ')[0]);
    await guest.check(`ip addr flush dev ${name}; ip link set ${name} down`);
  };

  test('an NVMe device stores 64 MiB, and returns them', async () => {
    // Each MiB is another one, at the cost of one.
    const content =
      'head -c 1048568 /dev/urandom >/tmp/block; ' +
      `for i in $(seq 1 ${MIB}); do printf '%8d' $i; cat /tmp/block; done`;
    const digest = 'md5sum | cut -d " " -f 1';
    written = (
      await guest.check(`(${content}) | tee /dev/nvme0n1 | ${digest}; sync`, { seconds: 600 })
    ).trim();
    const read = `echo 3 >/proc/sys/vm/drop_caches; head -c ${MIB * 2 ** 20} /dev/nvme0n1 | ${digest}`;
    expect(written).toMatch(/^[0-9a-f]{32}$/);
    expect((await guest.check(read, { seconds: 600 })).trim()).toBe(written);
    const [admin, io] = await hostInterrupts(nvme);
    expect(admin!.kind).toBe('vfio-msix');
    expect(io!.count).toBeGreaterThan(0);
  }, 1_500_000);

  test('a network card works with MSI-X, and with INTx if its driver selects it', async () => {
    const [name] = (await guest.check('ls /sys/class/net | grep eth')).trim().split('\n');
    const address = (await guest.check(`basename $(readlink -f /sys/class/net/${name}/device)`)).trim();
    expect(address).not.toMatch(/05\.\d$/);
    // Debian's kernel has no other API; test/vmm/vfio/rig/virtual-functions.test.ts has.
    const { vms } = JSON.parse(await vring('vm show all --json'));
    expect(new Set(vms[0].hostDevices.map(({ api }: { api: string }) => api))).toEqual(new Set(['group']));
    await checkNetwork(name!);
    expect(await hostInterrupts(e1000e)).toEqual(
      Array.from({ length: 3 }, () => ({ kind: 'vfio-msix', count: expect.any(Number) })),
    );
    // The option has a value for each card, in the order in which the driver finds them.
    await guest.check('rmmod e1000e; insmod /modules/*-e1000e.ko IntMode=0,2,2');
    const again = await interfaceAt(address.slice('0000:00:'.length));
    await guest.check(`ip link set ${again} up`);
    const [intx, ...others] = await hostInterrupts(e1000e);
    expect([intx!.kind, others]).toEqual(['vfio-intx', []]);
    await checkNetwork(again);
    // Each was unmasked again after the guest had acknowledged the one before.
    expect((await hostInterrupts(e1000e))[0]!.count).toBeGreaterThan(intx!.count + 5);
  }, 900_000);

  test('both functions of a device are functions of one slot, and work', async () => {
    const header =
      'dd if=/sys/bus/pci/devices/0000:00:05.0/config bs=1 skip=14 count=1 2>/dev/null | od -An -tx1';
    expect((await guest.check(header)).trim()).toBe('80');
    for (const fn of ['05.0', '05.1']) await checkNetwork(await interfaceAt(fn));
  }, 900_000);

  test('no snapshot can be taken, and no other VM can use one', async () => {
    const { status, stderr } = await host.run('vring vm snapshot all', { seconds: 120 });
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /all cannot have snapshots taken, because it has disk \(0000:01:00\.0 of the host\), .*: their states are in the hardware.*detach them first/,
    );
    expect(await refusal(host, e1000e)).toMatch(
      /refused cannot get .*: 0000:02:00\.0: the VM all has it \(vring vm stop all; vring vm detach all nic\)$/m,
    );
  }, 600_000);

  test('a device that is removed from the host is unplugged from the guest first', async () => {
    await host.check(`echo 1 >/sys/bus/pci/devices/${e1000e}/remove`, { seconds: 300 });
    expect(await guest.check('ls /sys/bus/pci/devices')).toMatch(/0000:00:05\.1/);
    expect((await guest.check('ls /sys/class/net | grep -c eth')).trim()).toBe('2');
    await host.check("until grep -q 'no longer exists' /root/manager.log; do sleep 0.2; done");
    const log = await host.check('cat /root/manager.log');
    expect(log).toContain(`warning: all: nic is to be released: the host wants ${e1000e} back`);
    expect(log).toContain(`warning: all: ${e1000e} no longer exists: it is not given back`);
    expect(await vring('vm list')).toMatch(/^all +running/m);
    await host.check('echo 1 >/sys/bus/pci/rescan');
    expect(await driver(e1000e)).toBe('e1000e');
  }, 600_000);

  test('the host has all devices back once the guest has powered off, with its data', async () => {
    await guest.send('poweroff -f');
    await host.check("until vring vm list | grep -q '^all *off'; do sleep 0.5; done", { seconds: 300 });
    expect([await driver(nvme), await driver(pair[1])]).toEqual(['nvme', 'e1000e']);
    expect(await host.check(HOST_STATE)).toBe(before);
    expect(await host.check(`head -c ${MIB * 2 ** 20} /dev/nvme0n1 | md5sum`)).toContain(written);
  }, 600_000);

  test('a device that a process has open is refused, and the process is named', async () => {
    const reason = await refusal(host, e1000e, {
      before: `
        cd /sys/bus/pci/devices/${e1000e}
        echo vfio-pci >driver_override; echo ${e1000e} >driver/unbind; echo ${e1000e} >/sys/bus/pci/drivers_probe
        group=/dev/vfio/$(basename $(readlink iommu_group))
        (exec sleep 900 9<>$group) >/dev/null 2>&1 & echo $! >/tmp/holder
        until ls -l /proc/$(cat /tmp/holder)/fd | grep -q "$group$"; do sleep 0.1; done`,
      after: `
        kill $(cat /tmp/holder)
        cd /sys/bus/pci/devices/${e1000e}
        echo >driver_override; echo ${e1000e} >driver/unbind; echo ${e1000e} >/sys/bus/pci/drivers_probe`,
    });
    expect(reason).toMatch(/0000:02:00\.0: \S+ \(pid \d+\) of user root has it open: stop this VM first/);
    expect(await host.check(HOST_STATE)).toBe(before);
  }, 900_000);

  test('a device whose group the host uses is refused, and the use is named', async () => {
    const ip = '/bin/ip';
    const reason = await refusal(host, pair[0], {
      before: `
        name=$(ls /sys/bus/pci/devices/${pair[1]}/net)
        ${ip} addr add 10.7.0.5/24 dev $name; ${ip} link set $name up; ${ip} route add default via 10.7.0.1`,
      after: `name=$(ls /sys/bus/pci/devices/${pair[1]}/net); ${ip} addr flush dev $name; ${ip} link set $name down`,
    });
    expect(reason).toMatch(
      /0000:03:00\.1: eth\d carries the default route to 10\.7\.0\.1 \(move the default route/,
    );
  }, 600_000);
});
