import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { applyPlan } from '../../../src/host/plan/apply.ts';
import { planBind } from '../../../src/host/plan/bind.ts';
import { readSurvey } from '../../../src/host/plan/survey.ts';
import { planUnbind } from '../../../src/host/plan/unbind.ts';
import { desktopTree } from '../trees/desktop.ts';
import { noIommuTree } from '../trees/no-iommu.ts';
import { serverTree } from '../trees/server.ts';
import { expectRollback } from './faults.ts';
import { SimulatedHost } from './simulated-host.ts';

const spareNvme = '0000:b0:00.0';
const vfio = { driver: 'vfio-pci', wholeGroup: false };

describe('binding on the server', () => {
  let host: SimulatedHost;
  beforeEach(() => {
    host = new SimulatedHost(serverTree());
  });
  afterEach(() => host.dispose());

  test('an unused disk is bound to vfio-pci and gets its node', async () => {
    const plan = planBind(await readSurvey(host.root), { ...vfio, addresses: [spareNvme] });
    expect(plan.checks.filter(check => check.level !== 'ok')).toEqual([]);
    const outcome = await applyPlan(host, plan);
    expect(outcome).toMatchObject({ state: 'applied', problem: null });
    expect(host.pci.driverOf(spareNvme)).toBe('vfio-pci');
    expect(host.root.node('/dev/vfio/63')).not.toBeNull();
  });

  test('a function that is already bound succeeds without steps', async () => {
    const bound = '0000:3b:0a.0';
    const plan = planBind(await readSurvey(host.root), { ...vfio, addresses: [bound] });
    expect(plan.steps).toEqual([]);
    expect(plan.notes).toEqual([`${bound} is already bound to vfio-pci`]);
    expect(await applyPlan(host, plan)).toMatchObject({ state: 'applied' });
    expect(host.log).toEqual([]);
  });

  test('a failure of any step leaves the host unchanged', async () => {
    await expectRollback(serverTree, survey =>
      planBind(survey, { ...vfio, addresses: [spareNvme, '0000:3b:00.3'] }),
    );
    await expectRollback(serverTree, survey =>
      planBind(survey, { ...vfio, driver: 'pci-stub', addresses: [spareNvme] }),
    );
  });

  test('a host that has changed since the plan is left alone', async () => {
    const plan = planBind(await readSurvey(host.root), { ...vfio, addresses: [spareNvme] });
    host.pci.unbind(spareNvme);
    const outcome = await applyPlan(host, plan);
    expect(outcome.state).toBe('refused');
    expect(outcome.problem).toMatch(/0000:b0:00\.0 is bound to nvme/);
    expect(host.log).toEqual([]);
  });
});

describe('binding on the desktop', () => {
  const gpu = '0000:01:00.0';
  const card = [0, 1, 2, 3].map(fn => `0000:01:00.${fn}`);

  test('a single function of the card cannot be used by a VM', async () => {
    const host = new SimulatedHost(desktopTree());
    const plan = planBind(await readSurvey(host.root), { ...vfio, addresses: [gpu] });
    const group = plan.checks.find(check => check.code === 'group');
    expect(group?.level).toBe('warn');
    expect(group?.reason).toMatch(/no VM can open group 1 while 0000:01:00\.1 \(snd_hda_intel\)/);
    expect(plan.devices.map(device => [device.address, device.role])).toEqual([
      [gpu, 'asked'],
      ['0000:00:01.0', 'bridge'],
      ...card.slice(1).map(address => [address, 'left']),
    ]);
    host.dispose();
  });

  test('the whole group is bound except its bridge, and missing modules are loaded', async () => {
    const host = new SimulatedHost(desktopTree());
    const plan = planBind(await readSurvey(host.root), { ...vfio, wholeGroup: true, addresses: [gpu] });
    expect(plan.checks.filter(check => check.level === 'block')).toEqual([]);
    expect(await applyPlan(host, plan)).toMatchObject({ state: 'applied' });
    expect(card.map(address => host.pci.driverOf(address))).toEqual(card.map(() => 'vfio-pci'));
    expect(host.pci.driverOf('0000:00:01.0')).toBe('pcieport');
    expect(host.log.slice(0, 2)).toEqual(['modprobe vfio_iommu_type1', 'modprobe vfio_pci']);
    host.dispose();
  });

  test('a failure of any step leaves the host unchanged', async () => {
    await expectRollback(desktopTree, survey =>
      planBind(survey, { ...vfio, wholeGroup: true, addresses: [gpu] }),
    );
  });
});

describe('returning to the host', () => {
  test('the kernel binds the driver again, and the override is cleared', async () => {
    const host = new SimulatedHost(serverTree());
    const bind = planBind(await readSurvey(host.root), { ...vfio, addresses: [spareNvme] });
    await applyPlan(host, bind);
    const plan = planUnbind(await readSurvey(host.root), {
      addresses: [spareNvme],
      wholeGroup: false,
      driver: null,
    });
    expect(await applyPlan(host, plan)).toMatchObject({ state: 'applied' });
    expect([host.pci.driverOf(spareNvme), host.pci.override(spareNvme)]).toEqual(['nvme', '']);
    host.dispose();
  });

  test('of a group, only functions that were taken are returned', async () => {
    const host = new SimulatedHost(desktopTree());
    const request = { ...vfio, wholeGroup: true, addresses: ['0000:00:1f.6'] };
    await applyPlan(host, planBind(await readSurvey(host.root), request));
    const plan = planUnbind(await readSurvey(host.root), { ...request, driver: null });
    expect(plan.devices.map(device => device.address)).toEqual(['0000:00:1f.6']);
    host.dispose();
  });

  test('a function that matches configured ids gets its driver by name, and no override remains', async () => {
    const host = new SimulatedHost(serverTree());
    host.tree
      .module('nvme')
      .file('/etc/modprobe.d/gpu.conf', 'options vfio-pci ids=144d:a808\n')
      .relativeLink('/sys/module/nvme/drivers/pci:nvme', '/sys/bus/pci/drivers/nvme');
    await applyPlan(host, planBind(await readSurvey(host.root), { ...vfio, addresses: [spareNvme] }));
    host.pci.know(spareNvme, 'vfio-pci');
    const request = { addresses: [spareNvme], wholeGroup: false, driver: null };
    const plan = planUnbind(await readSurvey(host.root), request);
    expect(await applyPlan(host, plan)).toMatchObject({ problem: null });
    expect([host.pci.driverOf(spareNvme), host.pci.override(spareNvme)]).toEqual(['nvme', '']);
    expect(plan.notes).toEqual([expect.stringContaining('matches IDs configured for vfio-pci')]);
    host.dispose();
  });

  test('a device that this kernel has no driver for ends without one', async () => {
    const host = new SimulatedHost(noIommuTree());
    host.tree.file('/etc/modprobe.d/off.conf', 'blacklist igb\n');
    const card = '0000:01:00.0';
    await applyPlan(
      host,
      planBind(await readSurvey(host.root), { ...vfio, driver: 'pci-stub', addresses: [card] }),
    );
    const request = { addresses: [card], wholeGroup: false, driver: null };
    const plan = planUnbind(await readSurvey(host.root), request);
    expect(await applyPlan(host, plan)).toMatchObject({ problem: null });
    expect([host.pci.driverOf(card), host.pci.override(card)]).toEqual([null, '']);
    expect(plan.notes).toEqual([
      expect.stringContaining('has no driver: this kernel has none for it, or it is blacklisted'),
    ]);
    host.dispose();
  });

  test('a failure of any step leaves the device with vfio-pci', async () => {
    await expectRollback(
      serverTree,
      survey => planUnbind(survey, { addresses: [spareNvme], wholeGroup: false, driver: null }),
      async host => {
        host.tree.module('nvme');
        await applyPlan(host, planBind(await readSurvey(host.root), { ...vfio, addresses: [spareNvme] }));
      },
    );
  });

  test('a VF that a VM has open stays', async () => {
    const host = new SimulatedHost(serverTree());
    const plan = planUnbind(await readSurvey(host.root), {
      addresses: ['0000:3b:0a.0'],
      wholeGroup: false,
      driver: null,
    });
    expect(plan.checks.filter(check => check.level === 'block')).toMatchObject([
      { code: 'held', forceable: false, reason: expect.stringContaining('qemu-system-x86 (pid 4211)') },
    ]);
    host.dispose();
  });
});
