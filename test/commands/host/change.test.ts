import fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bindDevices, unbindDevices } from '../../../src/commands/host/bind.ts';
import type { ChangeContext } from '../../../src/commands/host/change.ts';
import { enableIommu } from '../../../src/commands/host/iommu-enable.ts';
import { restore } from '../../../src/commands/host/restore.ts';
import { setVfAttributes, setVfCount } from '../../../src/commands/host/sriov-set.ts';
import { undoLast } from '../../../src/commands/host/undo.ts';
import { Journal } from '../../../src/host/plan/journal.ts';
import { parseVfSettings } from '../../../src/host/sriov/vf-settings.ts';
import { SimulatedHost } from '../../host/plan/simulated-host.ts';
import { treeImage } from '../../host/plan/tree-image.ts';
import { serverTree } from '../../host/trees/server.ts';
import { DocumentedTypes } from '../../support/documented-types.ts';

const spareNvme = '0000:b0:00.0';

let host: SimulatedHost;
let context: ChangeContext;
let said: string[];
beforeEach(() => {
  host = new SimulatedHost(serverTree());
  said = [];
  const journal = new Journal(`${host.tree.directory}-journal`);
  context = {
    writer: () => host,
    journal: () => journal,
    lock: change => change(),
    say: line => said.push(line),
    sayJson: data => said.push(JSON.stringify(data)),
    warn: line => said.push(line),
  };
});
afterEach(() => {
  fs.rmSync(`${host.tree.directory}-journal`, { recursive: true, force: true });
  host.dispose();
});

describe('vring vfio bind and unbind', () => {
  test('accepts short addresses and reports its steps', async () => {
    expect(await bindDevices(host.root, ['b0:0.0'], {}, context)).toBe(0);
    expect(said).toMatchInlineSnapshot(`
      [
        "1/3 write 0000:b0:00.0 to /sys/bus/pci/drivers/nvme/unbind",
        "2/3 write vfio-pci to /sys/bus/pci/devices/0000:b0:00.0/driver_override",
        "3/3 write 0000:b0:00.0 to /sys/bus/pci/drivers_probe",
        "done: Bind 0000:b0:00.0 to vfio-pci",
      ]
    `);
    said.length = 0;
    expect(await unbindDevices(host.root, ['b0:00.0'], {}, context)).toBe(0);
    expect(said).toMatchInlineSnapshot(`
      [
        "1/4 run modprobe nvme",
        "2/4 write 0000:b0:00.0 to /sys/bus/pci/drivers/vfio-pci/unbind",
        "3/4 clear /sys/bus/pci/devices/0000:b0:00.0/driver_override (write an empty line)",
        "4/4 write 0000:b0:00.0 to /sys/bus/pci/drivers_probe",
        "done: Return 0000:b0:00.0 to host drivers",
      ]
    `);
  });

  test('a dry run shows the plan and changes nothing', async () => {
    const before = treeImage(host.root);
    expect(await bindDevices(host.root, [spareNvme], { dryRun: true }, context)).toBe(0);
    expect(said.join('\n')).toMatchInlineSnapshot(`
      "Bind 0000:b0:00.0 to vfio-pci

      Devices
        0000:b0:00.0  group 63  nvme -> vfio-pci  Samsung Electronics Co Ltd NVMe SSD Controller SM981/PM981/PM983

      Checks
        ok     driver    0000:b0:00.0: this kernel has vfio-pci
        ok     iommu     0000:b0:00.0: isolated by the IOMMU in group 63
        ok     group     0000:b0:00.0: it is the only endpoint of group 63
        ok     storage   0000:b0:00.0: nothing uses nvme1n1
        ok     held      0000:b0:00.0: not open in any process
        ok     reset     0000:b0:00.0: the kernel can reset it by flr, bus
        ok     memlock   locked memory is unlimited

      Steps
        1.  write 0000:b0:00.0 to /sys/bus/pci/drivers/nvme/unbind
            why:   unbind nvme from 0000:b0:00.0
            risk:  the host loses it: nvme1n1
            then:  0000:b0:00.0 has no driver
            undo:  write 0000:b0:00.0 to /sys/bus/pci/drivers/nvme/bind
        2.  write vfio-pci to /sys/bus/pci/devices/0000:b0:00.0/driver_override
            why:   only vfio-pci may bind to it
            then:  /sys/bus/pci/devices/0000:b0:00.0/driver_override reads vfio-pci
            undo:  clear /sys/bus/pci/devices/0000:b0:00.0/driver_override (write an empty line)
        3.  write 0000:b0:00.0 to /sys/bus/pci/drivers_probe
            why:   bind it to vfio-pci
            then:  0000:b0:00.0 is bound to vfio-pci; 0000:b0:00.0 has a node in /dev/vfio
            undo:  write 0000:b0:00.0 to /sys/bus/pci/devices/0000:b0:00.0/driver/unbind

      Verdict: can be applied"
    `);
    expect(treeImage(host.root)).toEqual(before);
    expect(context.journal().read().entries).toEqual([]);
  });

  test('a dry run of a blocked plan ends with the verdict and fails unless --force applies', async () => {
    const dry = async (address: string, force: boolean) => {
      said.length = 0;
      return [await bindDevices(host.root, [address], { dryRun: true, force }, context), said.at(-1)];
    };
    expect(await dry('3b:00.0', false)).toEqual([1, 'Verdict: blocked by 1 check; --force overrides that']);
    expect(await dry('3b:00.0', true)).toEqual([0, 'Verdict: can be applied; --force overrides 1 check']);
    expect(await dry('3a:00.0', true)).toEqual([1, 'Verdict: blocked by 1 check; --force does not help']);
    expect(await dry(spareNvme, false)).toEqual([0, 'Verdict: can be applied']);
    expect(await dry('3b:0a.0', false)).toEqual([0, 'Verdict: nothing to do']);
    said.length = 0;
    expect(await bindDevices(host.root, ['3b:00.0'], { dryRun: true, json: true }, context)).toBe(1);
    expect(JSON.parse(said.join('\n')).outcome).toBeNull();
  });

  test('a blocked plan needs --force, which cannot override what the kernel rejects', async () => {
    const nic = bindDevices(host.root, ['3b:00.0'], {}, context);
    await expect(nic).rejects.toThrow(
      /^refused: Bind 0000:3b:00\.0 to vfio-pci\n {2}0000:3b:00\.0: ens1f0 carries the SSH session .*\nuse --force to apply it anyway/,
    );
    expect(host.log).toEqual([]);
    const bridge = bindDevices(host.root, ['3a:00.0'], { force: true }, context);
    await expect(bridge).rejects.toThrow(
      /PCI bridge cannot be passed through.*\n--force does not help here$/,
    );
    expect(await bindDevices(host.root, ['3b:00.0'], { force: true }, context)).toBe(0);
    expect(host.pci.driverOf('0000:3b:00.0')).toBe('vfio-pci');
  });

  test('JSON output holds only the documents of docs/host.md', async () => {
    const documented = new DocumentedTypes('docs/host.md');
    const printed = (command: string) => {
      const { version, ...document } = JSON.parse(said.splice(0).join('\n'));
      expect(version).toBe(1);
      expect(documented.misfits(document, command)).toEqual([]);
      return document;
    };
    await bindDevices(host.root, [spareNvme], { json: true }, context);
    const { plan, outcome } = printed('change');
    expect([plan.kind, plan.steps.length, outcome.state]).toEqual(['bind', 3, 'applied']);
    await undoLast(host.root, { json: true, list: true }, context);
    expect(printed('undo --list').entries).toHaveLength(1);
    await undoLast(host.root, { json: true }, context);
    expect(printed('undo').outcome.changes).toHaveLength(3);
    await setVfCount(host.root, '3b:00.0', '2', { json: true, persist: true, force: true }, context);
    printed('change');
    await restore(host.root, { json: true }, context);
    expect(printed('host restore').items).not.toEqual([]);
  });

  test('a failed step is reported with what was undone', async () => {
    host.failAt(2, 'ignored');
    await expect(bindDevices(host.root, [spareNvme], {}, context)).rejects.toThrow(
      /^step 3 of 3 failed: .*0000:b0:00\.0 is bound to vfio-pci, but no driver is bound\nthe earlier steps were undone$/,
    );
    expect(host.pci.driverOf(spareNvme)).toBe('nvme');
  });

  test('usage errors differ from failures', async () => {
    const usage = { name: 'UsageError' };
    await expect(bindDevices(host.root, ['eth0'], {}, context)).rejects.toMatchObject(usage);
    await expect(bindDevices(host.root, [spareNvme], { driver: 'igb' }, context)).rejects.toMatchObject(
      usage,
    );
    await expect(
      unbindDevices(host.root, [spareNvme], { driver: 'vfio-pci' }, context),
    ).rejects.toMatchObject(usage);
    await expect(bindDevices(host.root, ['7f:00.0'], {}, context)).rejects.not.toMatchObject(usage);
  });
});

describe('vring sriov', () => {
  test('sets the number of VFs and the settings of one', async () => {
    host.sriov.writeLinks([...host.sriov.links(), { ifname: 'ens1f3' }]);
    expect(await setVfCount(host.root, '3b:00.3', '2', {}, context)).toBe(0);
    expect(
      await setVfAttributes(host.root, '3b:00.3', '1', ['mac=02:00:00:00:00:05', 'vlan=9'], {}, context),
    ).toBe(0);
    expect(host.sriov.links().at(-1)?.vfinfo_list?.[1]).toMatchObject({ mac: '02:00:00:00:00:05' });
    expect(said).toContain('done: Set mac, vlan of VF 1 (0000:3b:0e.1) of 0000:3b:00.3');
  });

  test.each([
    ['mac=01:00:00:00:00:01', 'multicast'],
    ['mac=02:00', 'six bytes'],
    ['vlan=4095', '0 to 4094'],
    ['trust=yes', 'on or off'],
    ['state=up', 'auto, enable or disable'],
    ['color=red', 'unknown setting "color"'],
    ['constructor=1', 'unknown setting "constructor"'],
    ['mac', 'expected a value'],
  ])('%s is a usage error', (word, message) => {
    expect(() => parseVfSettings([word])).toThrow(message);
    expect(() => parseVfSettings([word])).toThrow(expect.objectContaining({ name: 'UsageError' }));
  });

  test('an invalid number is a usage error', async () => {
    await expect(setVfCount(host.root, '3b:00.3', '-1', {}, context)).rejects.toMatchObject({
      name: 'UsageError',
    });
    await expect(setVfAttributes(host.root, '3b:00.3', 'x', ['vlan=1'], {}, context)).rejects.toMatchObject({
      name: 'UsageError',
    });
  });
});

describe('vring undo', () => {
  test('undoes the last change; after that there is nothing to undo', async () => {
    await bindDevices(host.root, [spareNvme], {}, context);
    said.length = 0;
    expect(await undoLast(host.root, { dryRun: true }, context)).toBe(0);
    expect(host.pci.driverOf(spareNvme)).toBe('vfio-pci');
    expect(await undoLast(host.root, {}, context)).toBe(0);
    expect(await undoLast(host.root, {}, context)).toBe(0);
    expect(said.map(line => line.replace(/\(.*\)/, '(...)'))).toMatchInlineSnapshot(`
      [
        "undo: Bind 0000:b0:00.0 to vfio-pci (...)",
        "  1. write 0000:b0:00.0 to /sys/bus/pci/devices/0000:b0:00.0/driver/unbind",
        "  2. clear /sys/bus/pci/devices/0000:b0:00.0/driver_override (...)",
        "  3. write 0000:b0:00.0 to /sys/bus/pci/drivers/nvme/bind",
        "undone: Bind 0000:b0:00.0 to vfio-pci",
        "nothing to undo (...)",
      ]
    `);
    expect(host.pci.driverOf(spareNvme)).toBe('nvme');
  });

  test('fails if the host has changed since the plan', async () => {
    await bindDevices(host.root, [spareNvme], {}, context);
    host.pci.unbind(spareNvme);
    await expect(undoLast(host.root, {}, context)).rejects.toThrow(
      /^cannot undo "Bind 0000:b0:00\.0 to vfio-pci": the host has changed since the plan was applied/,
    );
  });
});

test('vring iommu enable adds the parameters for this CPU', async () => {
  await enableIommu(host.root, { dryRun: true }, context);
  expect(said.join('\n')).toContain('intel_iommu=on iommu=pt is already configured');
});

test('vring host restore fails if something cannot be restored', async () => {
  expect(await restore(host.root, {}, context)).toBe(0);
  expect(said).toEqual(['nothing to restore: use --persist to store a change']);
  await bindDevices(host.root, [spareNvme], { persist: true }, context);
  await unbindDevices(host.root, [spareNvme], {}, context);
  host.tree.file(`${host.pci.directory(spareNvme)}/nvme/nvme1/serial`, 'OTHER\n');
  said.length = 0;
  expect(await restore(host.root, {}, context)).toBe(1);
  expect(said[0]).toMatch(/^0000:b0:00\.0: refused: stored for/);
});
