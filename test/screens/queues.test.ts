import { beforeEach, describe, expect, test } from 'vitest';
import { FakeEngine, type Script } from '../support/fake-engine.ts';
import { busy, idle } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { KEY, TerminalDriver } from '../support/terminal-driver.ts';

let clock: ManualClock;
let engine: FakeEngine;

/** A VM whose disk's requests take about 2^bucket ns. */
const slow = (bucket: number, requests = 100): Script => ({
  ...busy,
  queues: [{ ...busy.queues![0]!, bucket, requests }],
});

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
  engine.add('web', busy);
  engine.add('db', slow(24));
  engine.add('cache', slow(20, 7000));
  engine.add('old', busy, { state: 'off' });
  engine.add('bare', idle);
});

async function start(columns = 100, rows = 20) {
  const driver = await TerminalDriver.start(engine, clock, columns, rows);
  driver.type(':queues\r');
  await driver.waitFor('blk0 requests');
  return driver;
}

const rowsOf = (driver: TerminalDriver) => driver.lines.slice(2, -2).filter(line => line.trim() !== '');
const queues = (driver: TerminalDriver) =>
  rowsOf(driver).map(row => row.slice(2).split(/ +/).slice(0, 2).join(' '));
const current = (driver: TerminalDriver) => rowsOf(driver).find(row => row.startsWith('>')) ?? '';

describe('the list of queues', () => {
  test('has the queues of all running VMs', async () => {
    const driver = await start();
    expect(queues(driver)).toEqual(
      ['cache blk0', 'db blk0', 'web blk0', 'web rng0'].toSorted(byOrder(engine)),
    );
    expect(driver.lines[0]).toContain('4 queues');
    expect(driver.wrapped).toBe(false);
  });

  test('is sorted by any column: the slowest first by p99', async () => {
    const driver = await start();
    driver.type(':sort p99\r');
    await driver.waitFor('▼P99');
    expect(queues(driver).slice(0, 2)).toEqual(['db blk0', 'cache blk0']);
    driver.type(':sort req asc\r');
    await driver.waitFor('▲REQ/s');
    expect(queues(driver)[0]).toBe('web rng0');
  });

  test('is filtered by its columns', async () => {
    const driver = await start();
    driver.type('/p99>1ms device:blk\r');
    await driver.waitFor('2/4 match');
    expect(queues(driver).toSorted()).toEqual(['cache blk0', 'db blk0']);
  });

  test('opens the queue of its VM', async () => {
    const driver = await start();
    driver.type('/rng0\r');
    await driver.waitFor('1/4 match');
    driver.type(KEY.enter);
    await driver.waitFor('[4 Queues]');
    await driver.waitFor(/^> +rng0 requests/m);
    expect(driver.lines[0]).toMatch(/vring +web/);
  });

  test('keeps the cursor on its queue, and carries its VM to other screens', async () => {
    const driver = await start();
    driver.type(':sort p99 desc\r');
    await driver.waitFor('▼P99');
    driver.type('gj');
    await driver.waitFor(() => current(driver).includes('cache'));
    engine.renew('cache', slow(28));
    clock.advance(1000);
    clock.advance(1000);
    await driver.waitFor(() => queues(driver)[0] === 'cache blk0');
    expect(current(driver)).toContain('cache');
    driver.type('1');
    await driver.waitFor('[1 VMs]');
    expect(current(driver)).toContain('cache');
    driver.type('k');
    await driver.waitFor(() => current(driver).includes('db'));
    driver.type('8');
    await driver.waitFor('[8 Queues]');
    await driver.waitFor(() => current(driver).includes('db'));
  });

  test('is sampled only while it is shown', async () => {
    const driver = await start();
    driver.type('1');
    await driver.waitFor('[1 VMs]');
    driver.type('8');
    await driver.waitFor('blk0 requests');
    engine.become('web', 'off');
    engine.become('db', 'off');
    engine.become('cache', 'off');
    clock.advance(1000);
    await driver.waitFor('No VM that runs has virtqueues');
  });
});

/** As the engine lists the VMs. */
function byOrder(engine: FakeEngine) {
  const order = engine.vms().map(({ id }) => id);
  const place = (queue: string) => order.indexOf(queue.split(' ')[0]!);
  return (a: string, b: string) => place(a) - place(b);
}
