import { describe, expect, test } from 'vitest';
import { vmdTree } from '../../host/trees/vmd.ts';
import { HostDriver } from '../../support/host-driver.ts';

const SIZES = [
  [60, 20],
  [80, 24],
  [120, 40],
  [200, 60],
] as const;

function start(columns: number, rows: number): HostDriver {
  return new HostDriver(vmdTree(), { columns, rows });
}

const DISK = '10000:e3:00.0';
const LISTS = { 2: 'pci', 3: 'iommu', 4: 'sriov', 5: 'vfio' } as const;
const VF = '10000:e3:01.2';

describe.each(SIZES)('at %i x %i', (columns, rows) => {
  test('no address is truncated in any list, however long it is', async () => {
    const driver = start(columns, rows);
    for (const [key, addresses] of [
      ['2', [DISK]],
      ['3', [DISK, VF]],
      ['4', [VF]],
      ['5', [DISK, VF]],
    ] as const) {
      await driver.press(key);
      for (const address of addresses) {
        await driver.press(`:${LISTS[key]} /${address}\r`);
        expect(driver.current, `screen ${key}`).toContain(address);
        // Between blanks: neither cut nor grown together with what is beside it.
        expect(` ${driver.current} `).toMatch(new RegExp(`\\s${address}\\s`));
      }
      expect(driver.terminal.wrapped).toBe(false);
    }
  });

  test('no address is truncated in the header of its own screen', async () => {
    const driver = start(columns, rows);
    await driver.press('5', `:vfio ${VF}\r`);
    expect(driver.terminal.lines[0]).toContain(` ${VF} `);
  });
});

test('deep branches of the PCI tree are indented less in narrow terminals', async () => {
  const indent = async (columns: number, rows: number) => {
    const driver = start(columns, rows);
    await driver.press('2', `/${DISK}\r`);
    return driver.terminal.lines.find(line => line.startsWith('>'))!.indexOf(DISK);
  };
  expect(await indent(60, 20)).toBeLessThan(await indent(120, 40));
});
