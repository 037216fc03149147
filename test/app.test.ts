import { beforeEach, describe, expect, test } from 'vitest';
import { FakeEngine } from './support/fake-engine.ts';
import { busy, idle, withVcpus } from './support/guest-scripts.ts';
import { ManualClock } from './support/manual-clock.ts';
import { KEY, TerminalDriver } from './support/terminal-driver.ts';
import { until } from './support/until.ts';

let clock: ManualClock;
let engine: FakeEngine;

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
});

const start = (columns = 80, rows = 24, options = {}) =>
  TerminalDriver.start(engine, clock, columns, rows, options);

const SIZES = [
  [80, 24],
  [120, 40],
  [60, 20],
] as const;

describe.each(SIZES)('at %i x %i', (columns, rows) => {
  test('the list shows every VM', async () => {
    engine.add('demo', busy);
    engine.add('web-1', withVcpus(4), { state: 'paused' });
    engine.add('db', idle, { state: 'crashed', reason: 'triple fault' });
    const driver = await start(columns, rows);
    await driver.waitFor('1.5k');
    expect(driver.screen).toMatchSnapshot();
    expect(driver.wrapped).toBe(false);
  });

  test('the screen of a VM shows all of its parts', async () => {
    const id = engine.add('demo', withVcpus(2));
    engine.print(id, 'vring guest\r\n> ');
    const driver = await start(columns, rows, { open: id });
    await driver.waitFor(/running +3\.1k/);
    clock.advance(1000);
    if (columns >= 80) await driver.waitFor('> ');
    expect(driver.screen).toMatchSnapshot();
    expect(driver.wrapped).toBe(false);
  });

  test('questions, help and facts fit', async () => {
    engine.add('demo', busy);
    const driver = await start(columns, rows);
    for (const [key, text] of [
      ['K', '[ Cancel ]'],
      ['?', 'Move'],
      ['d', 'Memory'],
    ] as const) {
      driver.type(key);
      await driver.waitFor(text);
      expect(driver.screen).toMatchSnapshot(key);
      driver.escape();
      await driver.waitFor('q quit');
    }
    expect(driver.wrapped).toBe(false);
  });
});

describe('moving', () => {
  const cursor = (driver: TerminalDriver) => driver.lines.find(line => line.startsWith('>'))?.split(/ +/)[1];

  beforeEach(() => {
    for (let index = 0; index < 500; index++) engine.add(`vm-${index}`, idle);
  });

  test('jjj, received in one chunk, moves three rows down', async () => {
    const driver = await start();
    expect(cursor(driver)).toBe('vm-0');
    driver.type('jjj');
    await driver.waitFor(driver => cursor(driver) === 'vm-3');
  });

  test('moves by pages, and to both ends', async () => {
    const driver = await start();
    driver.type(KEY.pageDown);
    await driver.waitFor(driver => cursor(driver) === 'vm-19');
    driver.type('G');
    await driver.waitFor(driver => cursor(driver) === 'vm-499');
    driver.type(`j${KEY.up}k`);
    await driver.waitFor(driver => cursor(driver) === 'vm-497');
    driver.type('g');
    await driver.waitFor(driver => cursor(driver) === 'vm-0');
  });
});

describe('the filter', () => {
  beforeEach(() => {
    for (const name of ['web-1', 'web-2', 'queue']) engine.add(name, idle);
  });

  test('treats letters as text, and shows the matches', async () => {
    const driver = await start();
    driver.type('/que');
    await driver.waitFor('1/3 match');
    expect(driver.screen).not.toContain('web-1');
    driver.type(KEY.enter);
    await driver.waitFor('q quit');
    driver.type('/');
    driver.escape();
    await driver.waitFor('web-1');
  });

  test('treats a paste as text', async () => {
    const driver = await start();
    driver.type('/\x1b[200~web\x1b[201~');
    await driver.waitFor('2/3 match');
  });
});

test('a paste is not treated as keys', async () => {
  engine.add('demo', idle);
  const driver = await start();
  driver.type('\x1b[200~K\r\x1b[201~?');
  await driver.waitFor('Move');
  expect(engine.calls).toEqual([]);
});

describe('the serial console', () => {
  test('receives all keys except Ctrl-], and shows that', async () => {
    const id = engine.add('demo', busy);
    const driver = await start(80, 24, { open: id });
    driver.type('c');
    await driver.waitFor('you type to the guest, Ctrl-] leaves');
    // No less than guests take a serial console to have.
    expect(engine.sizes.get(id)).toBe('80 x 24');
    driver.resize(132, 43);
    await until(() => engine.sizes.get(id) !== '80 x 24');
    expect(engine.sizes.get(id)).toBe('132 x 40');
    driver.type('q:K\x1b[A\x03');
    driver.type(`exit\r${KEY.ctrlRightBracket}?`);
    await driver.waitFor('Move');
    expect(engine.typed.get(id)).toBe('q:K\x1b[A\x03exit\r');
    expect(engine.calls).toEqual([]);
  });

  test('shows output from before and after it was opened', async () => {
    const id = engine.add('demo', busy);
    engine.print(id, 'before\r\n');
    const driver = await start(80, 24, { open: id });
    await driver.waitFor('before');
    engine.print(id, '\x1b[32mafter\x1b[0m\r\n');
    await driver.waitFor(/before\nafter/);
  });

  test('releases the keyboard when the VM ends', async () => {
    const id = engine.add('demo', busy);
    const driver = await start(80, 24, { open: id });
    driver.type('c');
    await driver.waitFor('you type to the guest');
    engine.become(id, 'off', { reason: 'the guest powered off' });
    await driver.waitFor('demo is off: the guest powered off');
    driver.type('?');
    await driver.waitFor('Move');
  });

  test('cannot be typed into while the VM is off', async () => {
    const id = engine.add('demo', idle, { state: 'off' });
    const driver = await start(80, 24, { open: id });
    driver.type('c');
    await driver.waitFor('cannot type into the console: demo is off');
  });

  test('responds to terminal queries of the guest, but not to old ones', async () => {
    const id = engine.add('demo', busy);
    engine.print(id, 'old\x1b[6n');
    const driver = await start(80, 24, { open: id });
    await driver.waitFor('old');
    engine.print(id, '\r\nnew\x1b[6n');
    await driver.waitFor('new');
    expect(engine.typed.get(id)).toBe('\x1b[2;4R');
  });
});

describe('killing', () => {
  test('asks, with the focus on Cancel', async () => {
    engine.add('demo', busy);
    const driver = await start();
    driver.type('K');
    await driver.waitFor('>[ Cancel ]');
    driver.type(KEY.enter);
    await driver.waitFor('q quit');
    expect(engine.calls).toEqual([]);
    driver.type('K');
    await driver.waitFor('Kill demo?');
    driver.type(KEY.tab);
    await driver.waitFor('>[ Kill ]');
    driver.type(KEY.enter);
    await driver.waitFor('demo is off: it was killed');
    expect(engine.calls).toEqual(['kill demo']);
  });

  test('reports why it is unavailable, and errors', async () => {
    engine.add('demo', busy);
    const driver = await start();
    driver.type('S');
    await driver.waitFor('cannot start: demo is running');
    engine.failure = new Error('the machine thread does not answer');
    driver.type('P');
    await driver.waitFor('pause: the machine thread does not answer');
  });
});

test('a VM that is deleted while its screen is open leaves the list', async () => {
  engine.add('demo', busy, { state: 'off' });
  engine.add('other', idle);
  const driver = await start();
  driver.type(KEY.enter);
  await driver.waitFor('SERIAL CONSOLE');
  driver.type(`X${KEY.tab}${KEY.enter}`);
  await driver.waitFor(/NAME +STATE/);
  expect(driver.screen).toContain('other');
  expect(driver.screen).not.toMatch(/demo +off/);
});

test('the numbers can be frozen', async () => {
  const id = engine.add('demo', busy);
  const driver = await start();
  await driver.waitFor('1.5k');
  driver.type('p');
  await driver.waitFor('FROZEN');
  engine.renew(id, idle);
  clock.advance(10_000);
  driver.type('?');
  await driver.waitFor('Move');
  driver.escape();
  await driver.waitFor('1.5k');
  driver.type('p');
  await driver.waitFor(driver => !driver.screen.includes('FROZEN'));
  clock.advance(250);
  await driver.waitFor(driver => !driver.screen.includes('1.5k'));
});

describe('quitting', () => {
  const restored = (driver: TerminalDriver) => {
    expect(driver.stdout.terminal.buffer.active.type).toBe('normal');
    expect(driver.stdout.terminal.modes.bracketedPasteMode).toBe(false);
    expect(driver.stdout.written.lastIndexOf('\x1b[?25h')).toBeGreaterThan(
      driver.stdout.written.lastIndexOf('\x1b[?25l'),
    );
    expect(driver.stdin.raw).toBe(false);
  };

  test('asks while VMs run, and restores the terminal', async () => {
    engine.add('demo', busy);
    const driver = await start();
    expect(driver.stdout.terminal.buffer.active.type).toBe('alternate');
    expect(driver.stdin.raw).toBe(true);
    driver.type('q');
    await driver.waitFor('1 VM is running in this process and will be killed');
    driver.type(`${KEY.tab}${KEY.enter}`);
    await driver.done;
    await driver.settled();
    restored(driver);
  });

  test('does not ask if none runs', async () => {
    engine.add('demo', idle, { state: 'off' });
    const driver = await start();
    driver.type(KEY.ctrlC);
    await driver.done;
    await driver.settled();
    restored(driver);
  });

  test.each(['SIGTERM', 'SIGHUP', 'SIGINT'] as const)('%s restores the terminal at once', async signal => {
    const others = process.listeners(signal);
    engine.add('demo', busy);
    const driver = await start();
    const [ours] = process.listeners(signal).filter(listener => !others.includes(listener));
    ours!(signal);
    await driver.done;
    await driver.settled();
    restored(driver);
    if (signal !== 'SIGHUP') expect(process.listeners(signal)).toEqual(others);
  });

  test('the UI ends with its terminal', async () => {
    const driver = await start();
    driver.stdin.emit('end');
    await driver.done;
  });
});

test('a screen that cannot be drawn shows the error, and keys still work', async () => {
  engine.add('demo', busy);
  const bad = engine.add('bad', busy, { startedAt: Symbol('no number') as never });
  const driver = await start();
  driver.type('j\r');
  await driver.waitFor('could not be drawn');
  driver.escape();
  await driver.waitFor(/NAME +STATE/);
  expect(engine.vms().map(vm => vm.id)).toContain(bad);
});

describe('untrusted text', () => {
  const EVIL = '\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b5n\r';

  test('never reaches the terminal unfiltered', async () => {
    const id = engine.add('demo', busy, {
      state: 'crashed',
      reason: `bad ${EVIL}reason`,
      detail: `dump\n${EVIL}rip`,
      broken: { rng0: `ring ${EVIL}` },
      diskErrors: { blk0: `read ${EVIL}` },
    });
    engine.print(id, `boot ${EVIL}ed`);
    const driver = await start(80, 24, { open: id });
    await driver.waitFor('bad ?]52');
    await driver.waitFor('ed');
    driver.type('d');
    await driver.waitFor('rip');
    engine.become(id, 'off', { reason: EVIL });
    await driver.waitFor('is off');
    expect(driver.stdout.written).not.toContain('\x1b]52');
    expect(driver.stdout.written).not.toMatch(/\x9b|\x07|\x1b\[5n/);
  });
});

test('--ascii draws ASCII only', async () => {
  const id = engine.add('demo', busy);
  engine.print(id, 'größe 漢字');
  const driver = await start(120, 40, { ascii: true });
  for (const [key, text] of [
    ['', 'NAME'],
    ['K', 'Cancel'],
    [KEY.esc, 'NAME'],
    [KEY.enter, 'gr??e ????'],
    ['\t', '[2 vCPUs]'],
    ['?', 'Move'],
  ] as const) {
    driver.type(key);
    clock.advance(50);
    await driver.waitFor(text);
    expect(driver.screen).toMatch(/^[\x20-\x7e\n]*$/);
  }
});

test('a resize redraws the screen, with nothing left of the old one', async () => {
  const id = engine.add('demo', busy);
  engine.print(id, 'hello\r\n> ');
  const driver = await start(80, 24, { open: id });
  await driver.waitFor(/1\.5k[\s\S]*hello/);
  driver.type('p');
  await driver.waitFor('FROZEN');
  const picture = driver.screen;
  for (const [columns, rows] of [...SIZES, [140, 50], [81, 20], [200, 24]] as const) {
    driver.resize(columns, rows);
    await driver.waitFor(
      ({ lines, screen }) =>
        lines[0]!.trimEnd().length === columns - 1 &&
        /q quit$/.test(lines.at(-1)!) &&
        screen.match(/vring/g)?.length === 1,
    );
    driver.resize(80, 24);
    await driver.waitFor(driver => driver.screen === picture);
  }
});

test('a change of one row costs few bytes', async () => {
  engine.add('first', busy);
  for (let index = 0; index < 18; index++) engine.add(`vm-${index}`, busy);
  const driver = await start();
  await driver.waitFor(/vm-17 .*20\.0k/);
  await driver.settled();
  const before = driver.stdout.written.length;
  engine.become('vm-7', 'paused');
  await driver.waitFor(/vm-7 +paused/);
  expect(driver.stdout.written.length - before).toBeLessThan(160);
});

test.each([
  [1, 1],
  [5, 4],
  [12, 3],
  [24, 8],
  [40, 12],
])('works in a terminal of %i x %i', async (columns, rows) => {
  engine.add('demo', withVcpus(3), { broken: { rng0: 'a reason of several words' }, detail: 'rip\nrax' });
  const driver = await start();
  await driver.waitFor(/3|running/);
  driver.resize(columns, rows);
  for (const keys of [
    'j',
    'K',
    KEY.esc,
    '?',
    KEY.esc,
    'd',
    KEY.esc,
    KEY.enter,
    KEY.tab,
    '\t',
    'c',
    '\x1d',
    ':',
    KEY.esc,
  ]) {
    driver.type(keys);
    clock.advance(100);
    await driver.settled();
  }
  driver.resize(80, 24);
  await driver.waitFor('[8 Console]');
  expect(driver.stdout.written).not.toContain('could not be drawn');
});
