import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { IommuGroup } from '../../../src/host/iommu/groups.ts';
import { capability } from '../../../src/host/pci/capabilities.ts';
import type { PciFunction } from '../../../src/host/pci/function.ts';
import type { Everything } from '../../../src/host/record.ts';
import { PCI_DEVICES } from '../../rig/devices.ts';
import { EmulatedHost } from '../../rig/emulated-host.ts';
import { missingForRig } from '../../rig/tools.ts';
import { installReader, reader } from './reader-bundle.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== null)('the readers on a real kernel', () => {
  let host: EmulatedHost;

  beforeAll(async () => {
    host = await EmulatedHost.boot({ devices: PCI_DEVICES, modules: ['vfio-pci'] });
    await installReader(host);
  }, 240_000);

  afterAll(async () => {
    await host?.close();
  });

  async function read(root = '/'): Promise<Everything> {
    return JSON.parse(await host.check(`node ${reader} read ${root}`, { seconds: 120 }));
  }

  const byDriver = (functions: readonly PciFunction[], driver: string) =>
    functions.filter(fn => fn.driver === driver);
  const groupOf = (groups: readonly IommuGroup[], fn: PciFunction) =>
    groups.find(group => group.id === fn.iommuGroup)!;

  test('functions, capabilities, and groups with the reasons for sharing', async () => {
    const { functions, groups, diagnosis } = await read();
    const drivers = functions
      .map(({ driver }) => driver)
      .filter(driver => !/^(pcieport|virtio-pci)$/.test(driver ?? 'pcieport'));
    expect(drivers.sort()).toEqual(['8139cp', 'e1000', 'e1000e', 'e1000e', 'e1000e', 'igb', 'nvme']);
    const igb = byDriver(functions, 'igb')[0]!;
    expect(igb).toMatchObject({
      vendor: '8086',
      device: '10c9',
      modules: ['igb'],
      configAccess: 'full',
      names: { device: '82576 Gigabit Network Connection' },
    });
    // The hardware has one more than its driver allows.
    expect(capability(igb.capabilities, 'sriov')).toMatchObject({ totalVfs: 8, offset: 128, stride: 2 });
    expect(capability(igb.capabilities, 'msix')?.vectors).toBe(10);
    expect(groupOf(groups, igb)).toMatchObject({
      members: [igb.address],
      reasons: [],
      reserved: [{ start: '0xfee00000', end: '0xfeefffff', type: 'msi' }],
    });

    const behindBridge = groupOf(groups, byDriver(functions, 'e1000')[0]!);
    expect(behindBridge.members).toHaveLength(3);
    expect(behindBridge.reasons).toMatchObject([
      { kind: 'conventional-bus', at: behindBridge.members[0], members: behindBridge.members },
    ]);
    const pair = groups.find(
      group =>
        group.members.length === 2 &&
        group.members.every(address => byDriver(functions, 'e1000e').some(fn => fn.address === address)),
    )!;
    expect(pair.reasons).toMatchObject([{ kind: 'functions', members: pair.members }]);

    // What doctor says of the IOMMU.
    const state = Object.fromEntries(diagnosis.findings.map(finding => [finding.id, finding.state]));
    expect(state).toMatchObject({
      'iommu.firmware': 'ok',
      'iommu.enabled': 'ok',
      'iommu.interrupt-remapping': 'ok',
      'vfio.driver': 'ok',
    });
  }, 180_000);

  test('VFs with their driver, and one bound to vfio-pci and open in a process', async () => {
    await host.check(`
      cd /sys/bus/pci/devices/$(basename $(readlink /sys/bus/pci/drivers/igb/0000:*))
      # The shell has an ip of its own, which knows no VFs.
      /bin/ip link set $(ls net) up
      echo 0 >sriov_drivers_autoprobe
      echo 3 >sriov_numvfs
      /bin/ip link set $(ls net) vf 1 mac 02:11:22:33:44:55 vlan 7
      echo vfio-pci >virtfn1/driver_override
      basename $(readlink virtfn1) >/sys/bus/pci/drivers_probe
      node=/dev/vfio/$(basename $(readlink virtfn1/iommu_group))
      (exec 9<>$node; sleep 600) >/dev/null 2>&1 &
      sleep 0.5`);
    const { functions, sriov, vfio, nextBoot } = await read();
    const pf = sriov.find(each => each.driver === 'igb')!;
    expect(pf).toMatchObject({
      total: 7,
      current: 3,
      offset: 128,
      stride: 2,
      vfDevice: '10ca',
      autoprobe: false,
    });
    expect(pf.vfs.map(vf => vf.driver)).toEqual([null, 'vfio-pci', null]);
    expect(pf.vfs[1]?.attributes).toMatchObject({ mac: '02:11:22:33:44:55', vlan: 7, spoofCheck: true });
    const vf = functions.find(fn => fn.address === pf.vfs[1]!.address)!;
    expect(vf).toMatchObject({
      vendor: '8086',
      device: '10ca',
      driverOverride: 'vfio-pci',
      physicalFunction: pf.address,
    });
    expect(vfio.devices).toMatchObject([
      {
        address: vf.address,
        groupNode: { path: `/dev/vfio/${vf.iommuGroup}`, kind: 'character' },
        holders: [{ command: expect.any(String) }],
      },
    ]);
    expect(new Map(nextBoot).get(pf.address)?.drift).toBe('3 VFs now, 0 after a boot');
  }, 180_000);

  test('host use: the root disk, and the interface with the address', async () => {
    await host.check(`
      interface=$(ls /sys/bus/pci/drivers/virtio-pci/0000:*/virtio*/net)
      ip link set $interface up; ip addr add 10.9.0.1/24 dev $interface; ip route add default via 10.9.0.2`);
    const use = new Map((await read()).use);
    const disks = [...use.values()].flatMap(each => each.disks);
    expect(disks.find(disk => disk.roles.some(role => role.text === 'mounted on /'))).toBeDefined();
    const roles = [...use.values()].flatMap(each => each.interfaces).flatMap(each => each.roles);
    expect(roles).toContainEqual(expect.objectContaining({ kind: 'default-route' }));
    expect(roles).toContainEqual(expect.objectContaining({ text: 'has the address 10.9.0.1/24' }));
  }, 180_000);

  test('a recording reads the same as the host', async () => {
    await host.check(`rm -rf /tmp/recording; node ${reader} record /tmp/recording`, { seconds: 180 });
    const [live, recorded] = [await read(), await read('/tmp/recording')];
    for (const part of ['functions', 'groups', 'use', 'sriov', 'vfio', 'nextBoot'] as const) {
      expect(recorded[part]).toEqual(live[part]);
    }
  }, 300_000);
});
