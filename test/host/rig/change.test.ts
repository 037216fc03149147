import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmulatedHost } from '../../rig/emulated-host.ts';
import { HOST_STATE } from '../../rig/host-state.ts';
import { missingForRig } from '../../rig/tools.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

const igb = '0000:01:00.0';
const e1000e = '0000:03:00.0';
/** Two functions behind a bridge to conventional PCI: one IOMMU group of three. */
const [e1000, rtl8139] = ['0000:05:01.0', '0000:05:02.0'];

/** The shell there has a smaller one of its own. */
const ip = '/bin/ip';

/** What plans here change, and the files that keep it for the next boot. */
const stateScript = `${HOST_STATE}
  find /etc/vring /etc/modprobe.d /etc/udev 2>/dev/null || true`;

describe.skipIf(missing !== null)('changing the emulated host', () => {
  let host: EmulatedHost;
  let first = '';

  beforeAll(async () => {
    host = await EmulatedHost.boot({ devices: ['iommu', 'igb', 'nvme', 'e1000e', 'pci-bridge'] });
    first = await host.check(stateScript);
  }, 180_000);

  afterAll(async () => {
    await host?.close();
  });

  const vring = (args: string) => host.check(`vring ${args}`, { seconds: 120 });
  const driver = async (address: string) =>
    (await host.check(`basename "$(readlink /sys/bus/pci/devices/${address}/driver)"`)).trim();

  test('the network card with the route and the root disk are refused with the reason', async () => {
    await host.check(
      `${ip} addr add 10.0.0.5/24 dev eth0; ${ip} link set eth0 up; ${ip} route add default via 10.0.0.1`,
    );
    const card = await host.run('vring vfio bind 01:00.0', { seconds: 60 });
    expect(card.status).toBe(1);
    expect(card.stderr).toContain('eth0 carries the default route to 10.0.0.1');
    const disk = await host.run('vring vfio bind 00:02.0', { seconds: 60 });
    expect(disk.status).toBe(1);
    expect(disk.stderr).toContain('vda: mounted on /');
    await host.check(`${ip} link set eth0 down; ${ip} addr flush dev eth0`);
    expect(await host.check(stateScript)).toBe(first);
  }, 180_000);

  test('the kernel refuses what the plan refuses', async () => {
    const count = (value: string) =>
      host.run(`echo ${value} >/sys/bus/pci/devices/${igb}/sriov_numvfs`).then(result => result.stderr);
    expect(await count('8')).toMatch(/Result not representable|out of range/i);
    expect(await count('-1')).toMatch(/Invalid argument/);
    const refused = await host.run('vring sriov set 01:00.0 8', { seconds: 60 });
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('supports at most 7 VFs (sriov_totalvfs), not 8');
    const bridge = await host.run('vring vfio bind --force 00:11.0', { seconds: 60 });
    expect(bridge.status).toBe(1);
    expect(bridge.stderr).toMatch(/PCI bridge cannot be passed through.*\n--force does not help/);
  }, 180_000);

  test('VFs of a network card and of an NVMe controller are created, configured and bound', async () => {
    await vring('sriov set 01:00.0 3');
    await vring('sriov vf 01:00.0 1 mac=02:00:00:00:00:77 vlan=7 trust=on spoofchk=off');
    await vring('sriov set 02:00.0 2 --autoprobe off');
    await vring('vfio bind 01:10.2 02:00.1');
    expect([await driver('0000:01:10.2'), await driver('0000:02:00.1')]).toEqual(['vfio-pci', 'vfio-pci']);
    expect(await host.check('ls /dev/vfio | wc -l')).toBe('3\n');
    expect(await host.check(`${ip} -d link show eth0 | grep 'vf 1 '`)).toMatch(
      /02:00:00:00:00:77.*vlan 7.*spoof checking off.*trust on/,
    );
  }, 240_000);

  test('another number of VFs goes through 0; undo restores settings and drivers', async () => {
    const before = await host.check(stateScript);
    await vring('sriov set 01:00.0 5');
    expect(await host.check(`cat /sys/bus/pci/devices/${igb}/sriov_numvfs`)).toBe('5\n');
    await vring('undo');
    expect(await host.check(stateScript)).toBe(before);
  }, 180_000);

  test('a single device and a whole group are bound without the bridge; repeating it changes nothing', async () => {
    await vring('vfio bind 03:00.0 05:01.0 --group');
    expect([await driver(e1000e), await driver(e1000), await driver(rtl8139)]).toEqual([
      'vfio-pci',
      'vfio-pci',
      'vfio-pci',
    ]);
    expect(await driver('0000:00:15.0')).toBe('pcieport');
    expect(await vring('vfio bind 03:00.0 05:01.0 --group')).toContain('already bound to vfio-pci');
  }, 180_000);

  test('a device that a process has open is not returned', async () => {
    // The shell has it open, and the command that it starts, too.
    const { status, stderr } = await host.run(
      `exec 5<>/dev/vfio/$(basename $(readlink /sys/bus/pci/devices/${e1000e}/iommu_group))
       vring vfio unbind 03:00.0`,
      { seconds: 60 },
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(/have it open: stop these VMs first/);
    expect(await driver(e1000e)).toBe('vfio-pci');
  }, 120_000);

  test('undoing all plans restores the initial state', async () => {
    for (let count = 0; count < 5; count++) await vring('undo');
    expect(await host.check(stateScript)).toBe(first);
    expect(await vring('undo')).toContain('nothing to undo');
  }, 240_000);

  test('a persisted state is restored after a boot, and can be removed', async () => {
    await vring('vfio bind 05:01.0 03:00.0 --group --persist');
    await vring('sriov set 01:00.0 2 --persist');
    await vring('sriov vf 01:00.0 1 mac=02:00:00:00:00:88 --persist');
    await vring('vfio bind 01:10.2 --persist');
    await host.reboot();
    // By their ids, before their drivers: by the modprobe that distributions have, not by the shell's own.
    await host.check('/bin/modprobe -r e1000 8139cp; /bin/modprobe e1000; /bin/modprobe 8139cp');
    expect([await driver(e1000), await driver(rtl8139)]).toEqual(['vfio-pci', 'vfio-pci']);
    // This host has no service manager that would do it.
    await vring('host restore');
    expect([await driver(e1000e), await driver('0000:01:10.2')]).toEqual(['vfio-pci', 'vfio-pci']);
    expect(await host.check(`${ip} link show eth0 | grep 'vf 1 '`)).toContain('02:00:00:00:00:88');
    const again = JSON.parse(await vring('host restore --json'));
    expect(new Set(again.items.map((item: { state: string }) => item.state))).toEqual(new Set(['unchanged']));

    await vring('sriov set 01:00.0 0 --persist');
    await vring('vfio unbind 05:01.0 03:00.0 --group --persist');
    const [drivers, files] = [
      await host.check(stateScript),
      await host.check('find /etc/vring /etc/modprobe.d /etc/udev -type f 2>/dev/null || true'),
    ];
    expect(files).toBe('');
    expect(drivers).not.toMatch(/0000:.* vfio-pci/);
  }, 400_000);

  test('a device other than the stored one is skipped', async () => {
    await vring('vfio bind 03:00.0 --persist');
    await vring('vfio unbind 03:00.0');
    await host.check(`sed -i 's/"mac": "[^"]*"/"mac": "52:54:00:00:00:99"/' /etc/vring/host.json`);
    const { status, stdout } = await host.run('vring host restore', { seconds: 60 });
    expect(status).toBe(1);
    expect(stdout).toMatch(/refused: stored for .*52:54:00:00:00:99, but found .*: skipped/);
    expect(await driver(e1000e)).toBe('e1000e');
  }, 180_000);
});
