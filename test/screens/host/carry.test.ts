import { beforeEach, describe, expect, test } from 'vitest';
import { serverTree } from '../../host/trees/server.ts';
import { HostDriver } from '../../support/host-driver.ts';
import { KEY } from '../../support/terminal-driver.ts';

const { enter, esc } = KEY;
const VF = '3b:0a.2';
const NVME = 'b0:00.0';

let driver: HostDriver;
beforeEach(() => {
  driver = new HostDriver(serverTree());
});

describe('the device under the cursor', () => {
  test('is under the cursor in each list that contains it', async () => {
    await driver.press('5', `/${NVME}\r`);
    for (const list of ['2', '3', '5']) {
      await driver.press(list);
      expect(driver.current).toContain(NVME);
    }
  });

  test('is expanded in the PCI tree, where it is initially hidden', async () => {
    await driver.press('2');
    expect(driver.screen).not.toContain(VF);
    await driver.press('4', `/${VF}\r`, '2');
    expect(driver.current).toContain(VF);
  });

  test('is kept on a screen that does not contain it', async () => {
    await driver.press('5', `/${NVME}\r`, '4', '6', '1', '3');
    expect(driver.current).toContain(NVME);
  });

  test('is also the one whose details were open', async () => {
    await driver.press('2', `:pci ${NVME}\r`);
    expect(driver.terminal.lines[0]).toContain(NVME);
    await driver.press('3');
    expect(driver.current).toContain(NVME);
  });

  test('is kept on the way back, too', async () => {
    await driver.press('2', '5', `/${NVME}\r`, esc, esc);
    expect(driver.screen).toContain('[2 PCI]');
    expect(driver.current).toContain(NVME);
  });
});

describe('a filter', () => {
  test('leaves the cursor on the match when it is cleared', async () => {
    await driver.press('5', `/${NVME}\r`, esc);
    expect(driver.screen).not.toContain('match');
    expect(driver.current).toContain(NVME);
  });

  test('that is canceled leaves the cursor where it was', async () => {
    await driver.press('5', 'jjj');
    const before = driver.current;
    await driver.press(`/${NVME}`);
    expect(driver.current).toContain(NVME);
    await driver.press(esc);
    expect(driver.current).toBe(before);
  });

  test('keeps the cursor on its row if that matches', async () => {
    await driver.press('5', 'G');
    const [address] = driver.current.split(' ');
    await driver.press('/.\r');
    expect(driver.current).toContain(address);
  });
});

test('Enter opens the function, Esc returns to it', async () => {
  await driver.press('3', `/${NVME}\r`, enter, esc);
  expect(driver.current).toContain(NVME);
});
