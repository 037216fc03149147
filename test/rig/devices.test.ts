import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PCI_DEVICES } from './devices.ts';
import { EmulatedHost } from './emulated-host.ts';
import { missingForRig } from './tools.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== null)('the emulated host with all its PCI devices', () => {
  let host: EmulatedHost;

  beforeAll(async () => {
    host = await EmulatedHost.boot({ devices: PCI_DEVICES, modules: ['vfio-pci'] });
  }, 180_000);

  afterAll(async () => {
    await host?.close();
  });

  test('binds them to their drivers, in IOMMU groups of one, two and three', async () => {
    const listing = await host.check(`
      for device in /sys/bus/pci/devices/*; do
        [ -e $device/driver ] || continue
        echo $(basename $(readlink $device/driver)) $(basename $(readlink $device/iommu_group))
      done`);
    const bound = listing
      .trim()
      .split('\n')
      .map(line => line.split(' ') as [driver: string, group: string]);
    const groupsOf = (driver: string) => bound.filter(([name]) => name === driver).map(([, group]) => group);
    expect(
      bound
        .map(([driver]) => driver)
        .filter(driver => !/^(pcieport|virtio-pci)$/.test(driver))
        .sort(),
    ).toEqual(['8139cp', 'e1000', 'e1000e', 'e1000e', 'e1000e', 'igb', 'nvme']);
    expect(groupsOf('8139cp')).toEqual(groupsOf('e1000'));
    const [alone, ...pair] = groupsOf('e1000e');
    expect(pair[0]).toBe(pair[1]);
    expect(pair).not.toContain(alone);
  });

  test('creates VFs of the network card, and binds one to vfio-pci', async () => {
    const result = await host.check(`
      cd /sys/bus/pci/devices/$(basename $(readlink /sys/bus/pci/drivers/igb/0000:*))
      echo 0 >sriov_drivers_autoprobe
      echo 2 >sriov_numvfs
      echo vfio-pci >virtfn1/driver_override
      echo $(basename $(readlink virtfn1)) >/sys/bus/pci/drivers_probe
      cat sriov_totalvfs
      ls -d virtfn* | wc -l
      basename $(readlink virtfn1/driver)
      ls /dev/vfio/$(basename $(readlink virtfn1/iommu_group))`);
    expect(result).toMatch(/^7\n2\nvfio-pci\n\/dev\/vfio\/\d+\n$/);
  });

  test('keeps its root disk across a reboot', async () => {
    await host.check('echo kept >/root/note');
    await host.reboot();
    expect(await host.check('cat /root/note; cat /sys/bus/pci/drivers/igb/0000:*/sriov_numvfs')).toBe(
      'kept\n0\n',
    );
  }, 120_000);
});
