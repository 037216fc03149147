import { beforeEach, describe, expect, test } from 'vitest';
import { FakeEngine, type Script } from '../support/fake-engine.ts';
import { busy, idle, withVcpus } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { KEY, TerminalDriver } from '../support/terminal-driver.ts';

const SHIFT = { up: '\x1b[1;2A', down: '\x1b[1;2B', right: '\x1b[1;2C', left: '\x1b[1;2D' };
const CTRL_SPACE = '\0';

let clock: ManualClock;
let engine: FakeEngine;

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
});

const start = (columns = 80, rows = 24, options = {}) =>
  TerminalDriver.start(engine, clock, columns, rows, options);

const rowsOf = (driver: TerminalDriver) => driver.lines.slice(2, -2).filter(line => line.trim() !== '');
const names = (driver: TerminalDriver) => rowsOf(driver).map(row => row.slice(4).split(' ')[0]);
const cursor = (driver: TerminalDriver) => rowsOf(driver).findIndex(row => row.startsWith('>'));
const marked = (driver: TerminalDriver) =>
  rowsOf(driver).flatMap((row, index) => (row[2] === '*' ? [names(driver)[index]] : []));

/** So many vCPUs, each busy at nine tenths. */
const cpus = (count: number): Script => withVcpus(count);

describe('sorting', () => {
  beforeEach(() => {
    for (const [name, count] of [
      ['web-10', 1],
      ['web-9', 3],
      ['db', 2],
      ['old', 0],
    ] as const) {
      engine.add(name, count === 0 ? idle : cpus(count), { state: count === 0 ? 'off' : 'running' });
    }
  });

  test('uses the chosen column, and shows which', async () => {
    const driver = await start();
    await driver.waitFor('270%');
    expect(names(driver)).toEqual(['web-10', 'web-9', 'db', 'old']);
    driver.type(SHIFT.right);
    await driver.waitFor('NAME▲');
    expect(names(driver)).toEqual(['db', 'old', 'web-9', 'web-10']);
    driver.type('oo');
    await driver.waitFor('NAME▼');
    expect(names(driver)).toEqual(['web-10', 'web-9', 'old', 'db']);
    driver.type('>>>>');
    await driver.waitFor('▼CPU%');
    expect(names(driver)).toEqual(['web-9', 'db', 'web-10', 'old']);
    expect(driver.wrapped).toBe(false);
  });

  test('sorts numbers numerically, with missing ones last in either order', async () => {
    const driver = await start();
    driver.type('>>>>>>oo');
    await driver.waitFor('▲EXITS/s');
    await driver.waitFor(driver => names(driver).join() === 'web-10,db,web-9,old');
  });

  test('cycles through the columns and the original order', async () => {
    const driver = await start();
    driver.type('<');
    await driver.waitFor('▼REQ/s');
    driver.type('>');
    await driver.waitFor(driver => !/[▲▼]/.test(driver.screen));
    expect(names(driver)).toEqual(['web-10', 'web-9', 'db', 'old']);
  });

  test('leaves the cursor on its VM, even when the numbers change', async () => {
    const driver = await start();
    driver.type('>>>>>');
    await driver.waitFor('▼CPU%');
    await driver.waitFor(driver => names(driver).join() === 'web-9,db,web-10,old');
    expect(cursor(driver)).toBe(2);
    engine.renew('web-10', cpus(8));
    clock.advance(1000);
    clock.advance(1000);
    await driver.waitFor(driver => names(driver)[0] === 'web-10');
    expect(cursor(driver)).toBe(0);
    driver.type(KEY.enter);
    await driver.waitFor(/vring +web-10/);
  });
});

describe('marks', () => {
  beforeEach(() => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) engine.add(`vm-${name}1`, busy);
  });

  test('are set one by one, as a range, and inverted', async () => {
    const driver = await start();
    driver.type(' ');
    await driver.waitFor('1/5 marked');
    expect(cursor(driver)).toBe(1);
    driver.type(`jj${CTRL_SPACE}`);
    await driver.waitFor('4/5 marked');
    driver.type('*');
    await driver.waitFor('1/5 marked');
    expect(marked(driver)).toEqual(['vm-e1']);
    driver.escape();
    await driver.waitFor('5/5 active');
    driver.type(`g${SHIFT.down}${SHIFT.down}`);
    await driver.waitFor('3/5 marked');
  });

  test('vanish with their VM, and the cursor moves to the next one', async () => {
    const driver = await start();
    driver.type('  ');
    await driver.waitFor('2/5 marked');
    driver.type('k');
    engine.become('vm-b1', 'off');
    await engine.remove('vm-b1');
    await driver.waitFor('1/4 marked');
    await driver.waitFor(driver => rowsOf(driver)[cursor(driver)]!.includes('vm-c1'));
  });

  test('apply an action to all of them, with their names', async () => {
    engine.become('vm-c1', 'off');
    const driver = await start();
    driver.type(`   K`);
    await driver.waitFor('Kill 2 VMs?');
    expect(driver.screen).toContain('vm-a1, vm-b1');
    expect(driver.screen).toContain('Skipped: vm-c1 is off.');
    expect(driver.screen).toMatchSnapshot();
    driver.type(`${KEY.tab}${KEY.enter}`);
    await driver.waitFor('done for 2 VMs');
    expect(engine.calls).toEqual(['kill vm-a1', 'kill vm-b1']);
    expect(marked(driver)).toEqual([]);
  });

  test('that the filter hides are included, with their names', async () => {
    const driver = await start();
    driver.type(` /e1${KEY.enter} P`);
    await driver.waitFor('Pause 2 VMs?');
    expect(driver.screen).toContain('vm-a1, vm-e1');
  });

  test('that an action does not apply to show why', async () => {
    const driver = await start();
    driver.type('  S');
    await driver.waitFor('cannot start: none of the 2 marked VMs is ready for it: vm-a1 is running');
  });

  test('of VMs for which an action failed are named', async () => {
    const driver = await start();
    driver.type('  P');
    await driver.waitFor('Pause 2 VMs?');
    engine.failure = new Error('the machine thread does not answer');
    driver.type(`${KEY.tab}${KEY.enter}`);
    await driver.waitFor('pause: 1 of 2 failed');
    expect(driver.screen).toContain('vm-a1: the machine thread does not answer');
    expect(driver.screen).toContain('vm-b1: done');
  });
});

test('defined VMs are listed while they are off, with errors in their definitions', async () => {
  engine.add('web', idle, { state: 'off', defined: true, autostart: true });
  engine.add('db', idle, {
    state: 'off',
    defined: true,
    problem: 'db.yaml, line 3, memory: expected a size such as 512M',
    vcpus: 0,
    memoryBytes: 0,
  });
  engine.add('run', busy, { defined: true, autostart: true });
  const driver = await start();
  expect(rowsOf(driver)[0]).toMatch(/^> a web +off/);
  expect(rowsOf(driver)[1]).toMatch(/^ {2}! db +invalid$/);
  driver.type('j');
  await driver.waitFor('db.yaml, line 3, memory: expected a size such as 512M');
  driver.type('S');
  await driver.waitFor('cannot start: db.yaml, line 3');
});

test('the filter is shown in lists, and not on the screen of a VM', async () => {
  engine.add('web', busy);
  engine.add('db', busy);
  const driver = await start();
  driver.type(`/web${KEY.enter}`);
  await driver.waitFor('/web  Esc clears the filter');
  driver.type(KEY.enter);
  await driver.waitFor('[1 Summary]');
  expect(driver.screen).not.toContain('Esc clears the filter');
  driver.escape();
  await driver.waitFor('/web  Esc clears the filter');
});

describe('a column to sort by', () => {
  beforeEach(() => {
    engine.add('a-idle', idle);
    engine.add('b-busy', cpus(2));
    engine.add('c-busy', cpus(4));
  });

  test('is chosen by its letter, from a menu that shows them', async () => {
    const driver = await start();
    driver.type('o');
    await driver.waitFor('Sort by');
    expect(driver.screen).toContain('c CPU%');
    driver.type('c');
    await driver.waitFor('▼CPU%');
    expect(driver.screen).not.toContain('Sort by');
    await driver.waitFor(driver => names(driver).join() === 'c-busy,b-busy,a-idle');
    driver.type('oc');
    await driver.waitFor('▲CPU%');
    driver.type('o-');
    await driver.waitFor(driver => !/[▲▼]/.test(driver.screen));
  });

  test('is chosen by a capital letter that is not otherwise bound', async () => {
    const driver = await start();
    driver.type('N');
    await driver.waitFor('NAME▲');
    driver.type('v');
    await driver.waitFor('NAME▼');
    expect(names(driver)).toEqual(['c-busy', 'b-busy', 'a-idle']);
    // C clones, whatever could be sorted by it.
    driver.type('C');
    await driver.waitFor(/clone/i);
    expect(driver.screen).not.toMatch(/[▲▼]CPU%/);
  });

  test.each([
    [':sort cpu', '▼CPU%'],
    [':sort cpu asc', '▲CPU%'],
    [':sort memory desc', '▼MEM'],
    [':sort NAME desc', 'NAME▼'],
    [':sort ex', '▼EXITS/s'],
    [':sort', 'sort by which column? name, state'],
    [':sort cpus up', 'after the column comes asc or desc, not "up"'],
    [':sort stat3', 'no column "stat3" here; did you mean state?'],
  ])('is named on the command line: %s', async (line, expected) => {
    const driver = await start();
    driver.type(`${line}\r`);
    await driver.waitFor(expected);
  });
});

test('a filter matches every column, and the cursor stays on the match', async () => {
  engine.add('web', busy);
  engine.add('db', idle, { state: 'paused' });
  engine.add('old', idle, { state: 'off' });
  const driver = await start();
  driver.type('/state:paused\r');
  await driver.waitFor('1/3 match');
  expect(names(driver)).toEqual(['db']);
  driver.escape();
  await driver.waitFor('2/3 active');
  expect(rowsOf(driver)[cursor(driver)]).toContain('db');
  driver.type('/cpu>50\r');
  await driver.waitFor(driver => names(driver).join() === 'web');
});

test('guest addresses have a column once one is known', async () => {
  const nic = { device: 'net0', type: 'virtio-net', mac: null, network: { type: 'user', name: null } };
  engine.add('web', idle, { nics: [nic] });
  const driver = await start(120, 40);
  expect(driver.screen).not.toContain('ADDRESS');
  engine.become('web', 'running', { nics: [{ ...nic, addresses: ['192.168.150.7', 'fe80::1'] }] });
  await driver.waitFor('192.168.150.7');
  expect(driver.screen).toContain('ADDRESS');
  driver.type('d');
  await driver.waitFor('no address yet in user, 192.168.150.7, fe80::1');
});
