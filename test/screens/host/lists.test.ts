import { beforeEach, describe, expect, test } from 'vitest';
import { serverTree } from '../../host/trees/server.ts';
import { HostDriver } from '../../support/host-driver.ts';
import { KEY } from '../../support/terminal-driver.ts';

const { enter } = KEY;

let driver: HostDriver;
beforeEach(() => {
  driver = new HostDriver(serverTree());
});

/** Addresses of the lines of the list, not of the details below it. */
function addresses(): string[] {
  const { lines } = driver.terminal;
  const end = lines.findIndex(line => line.startsWith('─'));
  return lines.slice(2, end).flatMap(line => /[0-9a-f]{2}:[0-9a-f]{2}\.\d/.exec(line)?.[0] ?? []);
}

describe('the PCI tree', () => {
  beforeEach(() => driver.press('2'));

  test('collapses and expands a bridge, with VFs initially collapsed', async () => {
    await driver.press('jj');
    expect(driver.current).toMatch(/^▾ 00:1c\.0/);
    await driver.press('h');
    expect(driver.current).toMatch(/^▸ 00:1c\.0/);
    expect(driver.screen).not.toContain('02:00.0');
    await driver.press('l');
    expect(driver.screen).toContain('02:00.0');
    await driver.press('G', 'k');
    expect(addresses()).not.toContain('3b:0a.0');
  });

  test('h goes to the parent, l to the first child', async () => {
    await driver.press('jjjj');
    expect(driver.current).toContain('02:00.0');
    await driver.press('h');
    expect(driver.current).toContain('01:00.0');
    await driver.press('l');
    expect(driver.current).toContain('02:00.0');
  });

  test('keeps the cursor in the list when its parent is collapsed', async () => {
    await driver.press('jj', 'h', 'j');
    expect(driver.current).toContain('00:1f.0');
  });
});

describe('sorting', () => {
  beforeEach(() => driver.press('2'));

  test('shows functions without the tree, by the chosen column; the cursor stays on its function', async () => {
    await driver.press('jjjj');
    expect(driver.current).toContain('02:00.0');
    await driver.press('>>>>');
    expect(driver.screen).toContain('DRIVER▲');
    expect(addresses()).not.toEqual([...addresses()].sort());
    expect(driver.current).toContain('02:00.0');
    await driver.press('<<<');
    expect(addresses()).toEqual([...addresses()].sort());
    await driver.press('oo');
    expect(addresses()).toEqual([...addresses()].sort().reverse());
    await driver.press('<');
    expect(driver.screen).toMatch(/▾ 00:1c\.0/);
  });

  test('is separate for each list', async () => {
    await driver.press('>', '5');
    expect(driver.screen).not.toMatch(/[▲▼]/);
    await driver.press('>>>');
    expect(driver.screen).toContain('NOW▲');
  });
});

describe('a filter', () => {
  beforeEach(() => driver.press('2'));

  test('keeps the bridges above matches, and expands collapsed ones', async () => {
    await driver.press('/virtual\r');
    expect(addresses()).toEqual(['3a:00.0', '3b:00.2', '3b:0a.0', '3b:0a.1', '3b:0a.2', '3b:0a.3']);
    expect(driver.screen).toContain('4 match');
    await driver.press(KEY.esc);
    expect(driver.screen).toContain('19 functions');
  });

  test('puts the cursor on a match, not on a bridge above it', async () => {
    const cursor = () => driver.terminal.lines.find(line => line.startsWith('>')) ?? '';
    expect(cursor()).toContain('root bus');
    await driver.press('/graphics');
    expect(cursor()).toContain('02:00.0');
    await driver.press('\r');
    expect(cursor()).toContain('02:00.0');
    await driver.press('k');
    expect(cursor()).toContain('01:00.0');
    await driver.press('j', KEY.esc);
    expect(cursor()).toContain('02:00.0');
  });

  test.each([
    ['!bridge|port|x710|virtual|nvme|lpc|dmi3', ['02:00.0', '00:1f.4']],
    ['-f smbsxyz', []],
    ['144d:a808', ['ae:00.0', 'af:00.0', 'ae:01.0', 'b0:00.0']],
    ['group 62', ['ae:00.0', 'af:00.0']],
    ['ssh', ['3a:00.0', '3b:00.0', '3b:00.1']],
  ])('%s', async (filter, expected) => {
    await driver.press(`/${filter}\r`);
    expect(addresses().filter(address => expected.includes(address))).toEqual(expected);
    if (expected.length === 0) expect(driver.screen).toContain('Nothing matches the filter; Esc clears it');
  });

  test('belongs to its list', async () => {
    await driver.press('/nvme\r', '3');
    expect(driver.screen).toContain('17 groups');
    await driver.press('/nvme\r');
    expect(addresses()).toEqual(['af:00.0', 'b0:00.0']);
    await driver.press('2');
    expect(driver.screen).toContain('2 match');
    await driver.press('1');
    expect(driver.screen).toContain('No VMs');
  });
});

describe('navigation', () => {
  test('number keys open the lists, Esc goes back', async () => {
    for (const [key, title] of [
      ['2', '[2 PCI]'],
      ['3', '[3 IOMMU]'],
      ['4', '[4 SR-IOV]'],
      ['5', '[5 vfio]'],
      ['6', '[6 Doctor]'],
    ] as const) {
      await driver.press(key);
      expect(driver.screen).toContain(title);
    }
    await driver.press(KEY.esc, KEY.esc);
    expect(driver.screen).toContain('[4 SR-IOV]');
    await driver.press('1');
    expect(driver.screen).toContain('[1 VMs]');
  });

  test.each([
    [':pci\r', '[2 PCI]'],
    [':groups\r', '[3 IOMMU]'],
    [':vf\r', '[4 SR-IOV]'],
    [':vfio\r', '[5 vfio]'],
    [':doctor\r', '[6 Doctor]'],
    [':pci /nvme\r', '/nvme  Esc clears the filter'],
    [':q\r', ''],
  ])('%j', async (line, expected) => {
    await driver.press(line);
    expect(driver.screen).toContain(expected);
  });

  test('an address, even a short one, opens its function; an unknown one is reported', async () => {
    await driver.press('2', ':pci b0:00.0\r');
    expect(driver.terminal.lines[0]).toBe(' vring  0000:b0:00.0 Non-Volatile memory controller');
    await driver.press(KEY.esc);
    expect(driver.screen).toContain('[2 PCI]');
    await driver.press(':iommu 99:00.0\r');
    expect(driver.screen).toContain('no PCI function 99:00.0 on this host');
  });

  test('Enter shows the details of a function, j scrolls to their end', async () => {
    await driver.press('4', KEY.enter);
    expect(driver.terminal.lines[0]).toContain('0000:3b:00.0 Ethernet controller');
    expect(driver.screen).toContain('more lines');
    await driver.press('G');
    expect(driver.screen).not.toContain('more lines');
    expect(driver.screen).toContain('/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0');
    const last = driver.screen;
    await driver.press('j');
    expect(driver.screen).toBe(last);
  });

  test('keys for VMs have no effect here', async () => {
    driver.engine.add('demo', { vcpus: [{ exits: {}, guest: 0, kvm: 0 }] });
    await driver.press('3', 'K', 'P', 'c', 'd', 'S');
    expect(driver.engine.calls).toEqual([]);
    expect(driver.terminal.lines[0]).toContain('[3 IOMMU]');
    expect(driver.screen).not.toContain('Kill');
  });
});

test('Enter folds a root bus, which has no screen', async () => {
  await driver.press('2', enter);
  expect(driver.current).toBe('▸ 00                  root bus');
  await driver.press(enter, 'j');
  expect(driver.current).toContain('00:00.0');
});

describe('marks', () => {
  test('are set on functions, and are the same in every list', async () => {
    await driver.press('5', '  ');
    expect(driver.screen).toContain('2 marked');
    await driver.press('3', 'G');
    expect(driver.screen).toMatch(/\* +84 +3b:0a\.0/);
    await driver.press(KEY.esc);
    expect(driver.screen).not.toContain('marked');
  });

  test('Esc clears marks first, then the filter, and then leaves', async () => {
    await driver.press('5', '/nvme\r', ' ');
    await driver.press(KEY.esc);
    expect(driver.screen).not.toContain('marked');
    expect(driver.screen).toContain('/nvme');
    await driver.press(KEY.esc);
    expect(driver.screen).toContain('[5 vfio]');
    expect(driver.screen).not.toContain('/nvme');
    await driver.press(KEY.esc);
    expect(driver.screen).toContain('[1 VMs]');
  });
});
