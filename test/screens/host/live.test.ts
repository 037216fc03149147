import fs from 'node:fs';
import { expect, test } from 'vitest';
import { HostRoot } from '../../../src/host/root.ts';
import { hostSource } from '../../../src/host-service/worker.ts';
import { serverTree } from '../../host/trees/server.ts';
import { FakeEngine } from '../../support/fake-engine.ts';
import { HostDriver } from '../../support/host-driver.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { TerminalDriver } from '../../support/terminal-driver.ts';

/** How often it is looked whether something has changed. */
const LOOK_MS = 400;

let driver: HostDriver;
const start = (tree = serverTree()) => {
  driver = new HostDriver(tree);
  return driver;
};

/** Lets the time pass after which a change is noticed, and what follows from it be shown. */
async function look() {
  driver.clock.advance(LOOK_MS);
  await driver.still();
}

test('an external change of a driver is noticed at the next read, without a uevent', async () => {
  await start().press('5', '/b0:\r');
  expect(driver.current).toMatch(/ nvme /);
  await driver.host.writeAttribute('/sys/bus/pci/devices/0000:b0:00.0/driver/unbind', '0000:b0:00.0');
  await look();
  expect(driver.current).toMatch(/ -( |$)/);
});

test('VFs that are removed externally are noticed', async () => {
  await start().press('4');
  expect(driver.screen).toContain('4 PFs, 4 VFs');
  await driver.host.writeAttribute('/sys/bus/pci/devices/0000:3b:00.2/sriov_numvfs', '0');
  await look();
  expect(driver.screen).toContain('4 PFs, 0 VFs');
  expect(driver.screen).toContain('0/32');
});

test('nothing is read while no screen shows the host', async () => {
  await start().press('5', '1');
  await driver.host.writeAttribute('/sys/bus/pci/devices/0000:b0:00.0/driver/unbind', '0000:b0:00.0');
  await look();
  const { written } = driver.terminal.stdout;
  await look();
  expect(driver.terminal.stdout.written).toBe(written);
  await driver.press('5', '/b0:\r');
  expect(driver.current).not.toMatch(/ nvme /);
});

test('r reads what no event reports', async () => {
  await start().press('4', 'jj');
  const path = driver.host.tree.at(`${driver.host.tree.pathOf('0000:3b:00.2')}/sriov_drivers_autoprobe`);
  fs.writeFileSync(path, '0\n');
  await look();
  expect(driver.screen).not.toContain(', host drivers');
  await driver.press('r');
  expect(driver.screen).toContain(', host drivers');
});

test('the cursor keeps its position when its function is removed', async () => {
  await start().press('4', 'jjjj');
  expect(driver.current).toContain('3b:0a.1');
  await driver.host.writeAttribute('/sys/bus/pci/devices/0000:3b:00.2/sriov_numvfs', '0');
  await look();
  expect(driver.current).toContain('3b:00.3');
});

test('the screen of a removed function reports it, and can be left', async () => {
  await start().press('4', 'jjjj', '\r');
  await driver.host.writeAttribute('/sys/bus/pci/devices/0000:3b:00.2/sriov_numvfs', '0');
  await look();
  expect(driver.screen).toContain('0000:3b:0a.1 no longer exists');
  await driver.press('\x1b');
  expect(driver.screen).toContain('[4 SR-IOV]');
});

test('text from hardware reaches the terminal without its control characters', async () => {
  const tree = serverTree();
  tree.file(`${tree.pathOf('0000:b0:00.0')}/nvme/nvme1/serial`, 'S4\x1b]52;c;AAAA\x07\x9b5n\u202e \n');
  tree.file('/usr/share/misc/pci.ids', '144d  Evil\x1b[2J\n\ta808  NVMe \x1b]0;owned\x07\n');
  await start(tree).press('2', '/144d\r', 'jj\r', 'G', '\x1b', '5', 'G');
  expect(driver.screen).toContain('NVMe');
  expect(driver.terminal.stdout.written).not.toMatch(/\x1b\]|\x07|\x9b|\u202e/);
  expect(driver.terminal.stdout.written).not.toContain('Evil\x1b');
});

test('unreadable parts are reported, and the rest is shown', async () => {
  const tree = serverTree();
  tree.file('/etc/vring/host.json', '{');
  await start(tree).press('5');
  expect(driver.screen).toContain('1 bound');
  expect(driver.screen).toContain('/etc/vring/host.json is not valid');
});

test('a plan that is being applied when the terminal disappears is finished', async () => {
  await start().press('5', 'G', 'B', '\t');
  driver.terminal.type('\r');
  await driver.terminal.leave();
  expect(driver.host.pci.driverOf('0000:b0:00.0')).toBe('vfio-pci');
});

test('a dead thread is reported; r reads the host with another one', async () => {
  const clock = new ManualClock();
  const folder = fs.mkdtempSync('/tmp/vring-gone-');
  const host = hostSource(folder);
  fs.rmdirSync(folder);
  const terminal = new TerminalDriver(new FakeEngine(clock), clock, 80, 24, { host });
  terminal.type('2');
  await terminal.waitFor('the host can no longer be read: ENOENT');
  start();
  driver.host.tree.at('/');
  fs.symlinkSync(driver.host.tree.directory, folder);
  terminal.type('r');
  await terminal.waitFor('19 functions');
  await terminal.leave();
  fs.unlinkSync(folder);
});

test('the host is read on a separate thread', async () => {
  start();
  const tree = serverTree();
  tree.root();
  const clock = new ManualClock();
  const host = hostSource(new HostRoot(tree.directory).path);
  const terminal = new TerminalDriver(new FakeEngine(clock), clock, 80, 24, { host });
  terminal.type('2');
  await terminal.waitFor('19 functions');
  expect(terminal.screen).toContain('Sky Lake-E D');
  terminal.type('j');
  await terminal.waitFor('Power      D0');
  await terminal.leave();
  tree.remove();
});
