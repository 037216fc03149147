import { beforeEach, describe, expect, test } from 'vitest';
import type { TreeBuilder } from '../host/trees/builder.ts';
import { pressure } from '../host/trees/common.ts';
import { serverTree } from '../host/trees/server.ts';
import { complete, idle } from '../support/guest-scripts.ts';
import { HostDriver } from '../support/host-driver.ts';

let tree: TreeBuilder;

beforeEach(() => {
  tree = serverTree();
});

/** The overview, after its first look at the host. */
async function start(): Promise<HostDriver> {
  const driver = new HostDriver(tree);
  await driver.press('0');
  return driver;
}

/** Lets so much time pass, and the picture of it come. */
async function pass(driver: HostDriver, ms: number): Promise<void> {
  driver.clock.advance(ms);
  await driver.still();
}

const line = (driver: HostDriver, name: string) =>
  driver.screen.split('\n').find(text => text.startsWith(`  ${name}`)) ?? '';

function stat(busy: number, idleTicks: number): string {
  const cpu = `${busy} 0 0 ${idleTicks} 0 0 0 0 0 0`;
  return `cpu  ${cpu}\ncpu0 ${cpu}\n`;
}

describe('the overview of the host', () => {
  test('shows CPU use and pressure since the previous sample', async () => {
    tree.file('/proc/stat', stat(100, 900));
    const driver = await start();
    expect(driver.screen).toContain('Reading the host');
    tree.file('/proc/stat', stat(140, 910));
    await pass(driver, 250);
    expect(line(driver, 'CPU')).toContain('80%');
    tree.file('/proc/stat', stat(150, 1000)).file('/proc/pressure/io', pressure(9_500_000, 8_000_000));
    await pass(driver, 1000);
    expect(line(driver, 'CPU')).toContain('10%');
    expect(line(driver, 'Pressure')).toContain('I/O 50%');
  });

  test('is not sampled while hidden, or while the numbers are frozen', async () => {
    const driver = await start();
    await pass(driver, 250);
    await driver.press('p');
    tree.file('/proc/loadavg', '9.99 9.99 9.99 1/1 1\n');
    await pass(driver, 5000);
    expect(driver.screen).toContain('FROZEN');
    expect(line(driver, 'CPU')).toContain('load 0.51');
    await driver.press('p');
    await pass(driver, 250);
    expect(line(driver, 'CPU')).toContain('load 9.99');
    await driver.press('1');
    tree.file('/proc/loadavg', '1.11 1.11 1.11 1/1 1\n');
    await pass(driver, 5000);
    await driver.press('0');
    expect(line(driver, 'CPU')).toContain('load 9.99');
  });
});

test('the host is sampled once if the numbers are frozen before the first sample', async () => {
  const driver = new HostDriver(tree);
  await driver.press('p');
  await driver.press('0');
  await pass(driver, 250);
  expect(line(driver, 'CPU')).toContain('load 0.51');
  tree.file('/proc/loadavg', '9.99 9.99 9.99 1/1 1\n');
  await pass(driver, 5000);
  expect(line(driver, 'CPU')).toContain('load 0.51');
});

describe('alarms', () => {
  test('appear and disappear with their cause, and Enter opens the VM', async () => {
    const driver = await start();
    driver.engine.add('web', idle);
    driver.engine.add('db', complete);
    await pass(driver, 250);
    expect(driver.screen).toContain('No alarms');
    expect(driver.screen).toContain('2 VMs: 2 running');
    driver.engine.become('web', 'crashed', { reason: 'triple fault' });
    await pass(driver, 1000);
    expect(driver.screen).toContain('> x web crashed: triple fault');
    await driver.press('\r');
    expect(driver.screen).toContain('[1 Summary]');
    expect(driver.terminal.lines[0]).toContain('web crashed');
    await driver.press('\x1b');
    driver.engine.become('web', 'running', { reason: null });
    await pass(driver, 1000);
    expect(driver.screen).toContain('No alarms');
  });

  test('of the host have no VM to open', async () => {
    tree.files({
      '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages': '512\n',
      '/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages': '0\n',
    });
    const driver = await start();
    await pass(driver, 250);
    expect(driver.screen).toContain('! all 512 huge pages of 2M are in use');
    await driver.press('\r');
    expect(driver.screen).toContain('cannot open the VM: the alarm is about no VM');
  });
});

describe('the busiest VMs and the latest events', () => {
  test('are in the chosen order, and Enter opens the VM of the row', async () => {
    const driver = await start();
    driver.engine.add('lazy', idle);
    driver.engine.add('busy', complete);
    driver.engine.add('old', complete, { state: 'off' });
    driver.engine.note('info', 'lazy', 'the first');
    driver.engine.note('info', 'lazy', 'the second');
    await pass(driver, 250);
    await pass(driver, 1000);
    const order = () =>
      driver.terminal.lines.flatMap(line => /^[> ] (lazy|busy|old) .*%/.exec(line)?.[1] ?? []);
    expect(order()).toEqual(['busy', 'lazy']);
    expect(driver.current).toContain('busy');
    expect(driver.screen.indexOf('the second')).toBeLessThan(driver.screen.indexOf('the first'));
    await driver.press('v');
    expect(order()).toEqual(['lazy', 'busy']);
    // The cursor stayed with its VM.
    expect(driver.current).toContain('busy');
    await driver.press('j');
    expect(driver.current).toContain('the second');
    await driver.press('\r');
    expect(driver.screen).toContain('[9 Events]');
    expect(driver.terminal.lines[0]).toContain('lazy');
  });
});

test('graphs have a label for their scale', async () => {
  const driver = await start();
  await pass(driver, 250);
  expect(line(driver, 'Memory')).toContain('0-100%');
  expect(line(driver, 'Exits/s')).toContain('0-100/s');
  driver.engine.add('busy', complete);
  await pass(driver, 250);
  await pass(driver, 1000);
  expect(line(driver, 'Exits/s')).toContain('0-2k/s');
});
