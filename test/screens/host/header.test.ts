import { expect, test } from 'vitest';
import { serverTree } from '../../host/trees/server.ts';
import { idle } from '../../support/guest-scripts.ts';
import { HostDriver } from '../../support/host-driver.ts';

let driver: HostDriver;

test.each([
  [110, ' 0 Overview [1 VMs] 2 PCI 3 IOMMU 4 SR-IOV 5 vfio 6 Doctor 7 Log'],
  [80, ' 0 All [1 VMs] 2 PCI 3 IOM 4 VFs 5 vfio 6 Doc 7 Log 8 9 '],
  [60, ' vring 0 [1 VMs] 2 3 4 5 6 7 '],
])('the header has room for many VMs and a read-only session at %i columns', async (columns, tabs) => {
  driver = new HostDriver(serverTree(), { columns, readOnly: true });
  for (let index = 0; index < 200; index++) driver.engine.add(`vm-${index}`, idle);
  await driver.press('/9\r');
  expect(driver.terminal.lines[0]).toContain(tabs);
  expect(driver.terminal.lines[0]).toContain('/200');
  expect(driver.terminal.lines[0]).toMatch(/\/200 match \[RO\].* 1 s$/);
});

test('the header of a tiny terminal names the screen, separate from its content', async () => {
  driver = new HostDriver(serverTree(), { columns: 36, rows: 12 });
  driver.engine.add('web', idle);
  for (const [key, name] of [
    ['1', '[1 VMs]'],
    ['2', '[2 PCI]'],
    ['4', '[4 SR-IOV]'],
    ['8', '[8 Queues]'],
  ] as const) {
    await driver.press(key);
    expect(driver.terminal.lines[0]).toContain(`${name} `);
    expect(driver.terminal.screen).not.toContain('\u2026\n');
  }
});

test('the header of a VM never truncates a fact, and puts the current task first', async () => {
  driver = new HostDriver(serverTree(), { columns: 80 });
  const id = 'a-virtual-machine-with-a-long-name-for-a-header';
  driver.engine.add(id, idle);
  await driver.press('1', '\r');
  expect(driver.terminal.lines[0]).toMatch(/ running {2}\d vCPUs? +1 s$/);
  const task = { kind: 'snapshot', name: 'x', phase: 'writing', done: 1, total: 2 } as const;
  driver.engine.become(id, 'running', { task: { ...task, waitingFor: [] } });
  await driver.press('1');
  expect(driver.terminal.lines[0]).toMatch(/ running {2}snapshot.* 1 s$/);
});

test.each([
  [120, '[REC nvidia-in-use-of-a-custo'],
  [80, '[REC nvidia-in'],
  [60, '[REC nvidia-in'],
])('a recording is named at %i columns, on every screen', async (columns, badge) => {
  const name = 'nvidia-in-use-of-a-customer-far-away';
  driver = new HostDriver(serverTree(), { columns, recording: name, unchangeable: 'it is a recording' });
  for (const keys of ['1', '2', '3', '4', '5', '6', '7', '8', '0', '2\r']) {
    await driver.press(...keys);
    expect(driver.terminal.lines[0], keys).toContain(badge.slice(0, -1));
    // The last tab is whole, and what follows it stands apart.
    expect(driver.terminal.lines[0], keys).toMatch(/ (8( Que(ues)?)?|\[8 Queues\])( |$)/);
  }
});
