import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmulatedHost } from '../../rig/emulated-host.ts';
import { HOST_STATE } from '../../rig/host-state.ts';
import { missingForRig } from '../../rig/tools.ts';
import { RemoteTerminal } from './remote-terminal.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

const igb = '0000:01:00.0';
const vf = '0000:01:10.0';

describe.skipIf(missing !== null)('the UI on the emulated host', () => {
  let host: EmulatedHost;
  let ui: RemoteTerminal;
  let first = '';

  beforeAll(async () => {
    host = await EmulatedHost.boot({ devices: ['iommu', 'igb'] });
    first = await host.check(HOST_STATE);
    ui = await RemoteTerminal.start(host, 'vring');
    await ui.waitFor(/\[1 VMs\]/);
  }, 400_000);

  afterAll(async () => {
    await host?.close();
  });

  const vfCount = async () => (await host.check(`cat /sys/bus/pci/devices/${igb}/sriov_numvfs`)).trim();
  const driver = async (address: string) =>
    (await host.check(`basename "$(readlink /sys/bus/pci/devices/${address}/driver)"`)).trim();

  test('takes at most twelve keys from a fresh host to a bound VF', async () => {
    let pressed = 0;
    const press = (...keys: string[]) => {
      pressed += keys.length;
      return ui.press(...keys);
    };

    await press('4');
    await ui.waitFor(/> +01:00\.0 +0\/7 /);
    await press('E', '1', 'Enter');
    await ui.waitFor(
      /Set the VFs of 0000:01:00\.0 to 1[\s\S]*1\. +write 1 to \S+\/0000:01:00\.0\/sriov_numvfs[\s\S]*>\[ Cancel \]/,
    );
    expect(await vfCount()).toBe('0');
    await press('Tab', 'Enter');
    await ui.waitFor(/every step was verified/);
    expect(await vfCount()).toBe('1');

    await press('Enter');
    await ui.waitFor(/01:10\.0 +vf 0 /);
    await press('j');
    await ui.waitFor(/> +01:10\.0 +vf 0 /);
    await press('B');
    await ui.waitFor(/Bind 0000:01:10\.0 to vfio-pci[\s\S]*1\. +run modprobe [\s\S]*>\[ Cancel \]/);
    // The steps that change the VF itself are further down.
    await press('PageDown');
    await ui.waitFor(/write vfio-pci to \S+\/0000:01:10\.0\/driver_override[\s\S]*drivers_probe/);
    expect(await driver(vf)).not.toBe('vfio-pci');
    await press('Tab', 'Enter');
    await ui.waitFor(/every step was verified/);

    expect(pressed).toBeLessThanOrEqual(12);
    expect(await driver(vf)).toBe('vfio-pci');
    await host.check(`test -c /dev/vfio/$(basename "$(readlink /sys/bus/pci/devices/${vf}/iommu_group)")`);
    await ui.press('Enter');
    await ui.waitFor(/> +01:10\.0 +vf 0 +!?\S* *vfio-pci/);
  }, 240_000);

  test('undoes everything, one plan after the other', async () => {
    await ui.press('u');
    await ui.waitFor(/Undo: Bind 0000:01:10\.0 to vfio-pci[\s\S]*>\[ Cancel \]/);
    await ui.press('Tab', 'Enter');
    await ui.waitFor(/everything was undone/);
    expect([await driver(vf), await vfCount()]).toEqual(['', '1']);
    await ui.press('Enter', 'u');
    await ui.waitFor(/Undo: Set the VFs of 0000:01:00\.0 to 1[\s\S]*>\[ Cancel \]/);
    await ui.press('Tab', 'Enter');
    await ui.waitFor(/everything was undone/);
    expect(await host.check(HOST_STATE)).toBe(first);
    await ui.press('Enter');
    await ui.waitFor(/> +01:00\.0 +0\/7 /);
  }, 240_000);

  test('shows changes made by others', async () => {
    await host.check('vring sriov set 01:00.0 1 && vring vfio bind 01:10.0', { seconds: 120 });
    await ui.waitFor(/01:10\.0 +vf 0 +!?\S* *vfio-pci/);
    await host.check(`echo ${vf} >/sys/bus/pci/drivers/vfio-pci/unbind`);
    await ui.waitFor(/01:10\.0 +vf 0 +-/);
    await host.check(`echo 0 >/sys/bus/pci/devices/${igb}/sriov_numvfs`);
    await ui.waitFor(/0 VFs/);
  }, 240_000);

  test('reports what it can no longer undo', async () => {
    await ui.press('u');
    await ui.waitFor(/Undo: Bind 0000:01:10\.0 to vfio-pci/);
    await ui.press('Tab', 'Enter');
    await ui.waitFor(/the host has changed since the plan was applied/);
    await ui.press('Enter');
    await ui.waitFor(/\[4 SR-IOV\]/);
  }, 240_000);
});
