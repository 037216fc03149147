import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeEngine } from '../ui/fake-engine.ts';
import { ManualClock } from '../ui/manual-clock.ts';
import { idle } from '../ui/scripts.ts';
import { KEY, TerminalDriver } from '../ui/terminal-driver.ts';

const CTRL_S = '\x13';
const SHIFT_TAB = '\x1b[Z';

let clock: ManualClock;
let engine: FakeEngine;
let folder: string;
const drivers: TerminalDriver[] = [];
const { VRING_STATE_DIR, HOME } = process.env;

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
  engine.add('web', idle, { state: 'off', defined: true });
  folder = mkdtempSync(join(tmpdir(), 'vring-test-'));
  process.env.VRING_STATE_DIR = join(folder, 'state');
  process.env.HOME = folder;
  writeFileSync(join(folder, 'vmlinuz'), 'kernel');
});
afterEach(async () => {
  for (const driver of drivers.splice(0)) await driver.leave();
  rmSync(folder, { recursive: true });
  for (const [name, value] of Object.entries({ VRING_STATE_DIR, HOME })) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

async function start(columns = 80, rows = 24, options = {}) {
  const driver = new TerminalDriver(engine, clock, columns, rows, options);
  drivers.push(driver);
  await driver.waitFor('q quit');
  driver.type('n');
  await driver.waitFor('Start from');
  return driver;
}

/** A CD's image, as far as it is looked at: the first volume descriptor (ECMA-119). */
function installer(): string {
  const file = join(folder, 'installer.iso');
  const image = Buffer.alloc(40_000);
  image.write('CD001', 0x8001);
  writeFileSync(file, image);
  return file;
}

describe('the form for a new VM', () => {
  test.each([
    [60, 20],
    [80, 24],
    [120, 40],
  ])('says what is wrong as it is typed, at %i x %i', async (columns, rows) => {
    const driver = await start(columns, rows);
    driver.type('web');
    await driver.waitFor('there is a VM web already');
    expect(driver.screen).toMatchSnapshot();
    expect(driver.wrapped).toBe(false);
    driver.type('!');
    await driver.waitFor('expected a name of at most 63 letters');
    driver.type('\x7f2');
    await driver.waitFor(driver => /^> {3}Name +web2/m.test(driver.screen));
  });

  test('asks what the source needs', async () => {
    const driver = await start();
    expect(driver.screen).toMatch(/Memory +2G/);
    driver.type(`\t${'l'.repeat(2)}`);
    await driver.waitFor('[kernel]');
    expect(driver.screen).toMatch(/Initial RAM disk +none[\s\S]*Memory +256M/);
    driver.type('h');
    await driver.waitFor('[cloud]');
    expect(driver.screen).toMatch(/SSH public key/);
    expect(driver.screen).toMatchSnapshot();
  });

  test('does not lose what was typed when it is left', async () => {
    const driver = await start();
    driver.type('db');
    driver.escape();
    await driver.waitFor('what you typed is kept');
    driver.type('n');
    await driver.waitFor(driver => /^> {3}Name +db/m.test(driver.screen));
  });

  test('goes to what is wrong instead of showing a plan', async () => {
    const driver = await start();
    driver.type(`db${CTRL_S}`);
    await driver.waitFor('Image: a file');
    expect(driver.screen).toContain('> ! Image');
    expect(driver.screen).toContain('expected the path of a file');
  });
});

describe('a new VM', () => {
  const fill = async (driver: TerminalDriver) => {
    driver.type(`db\t\t${installer()}${CTRL_S}`);
    await driver.waitFor('Make db?');
  };

  test('is planned, word for word, and made when the user agrees', async () => {
    const driver = await start();
    await fill(driver);
    expect(driver.screen).toContain('>[ Back ]');
    const disk = join(folder, 'state', 'disks', 'db.img');
    expect(driver.screen.replace(/[\s│]/g, '')).toContain(`-makethedisk${disk},20G`);
    expect(existsSync(disk)).toBe(false);
    driver.type(`${KEY.tab}${KEY.enter}`);
    await driver.waitFor('db was made; S starts it');
    expect(statSync(disk).size).toBe(20 * 2 ** 30);
    expect(engine.texts.get('db')).toMatch(/^name: db\n/);
    expect(engine.texts.get('db')).toContain(disk);
    await driver.waitFor('NAME');
  });

  test('can still be changed after its plan was seen', async () => {
    const driver = await start();
    await fill(driver);
    driver.type(KEY.enter);
    await driver.waitFor('Start from');
    driver.type(`${SHIFT_TAB}${SHIFT_TAB}\x15db2${CTRL_S}`);
    await driver.waitFor('Make db2?');
  });

  test('that can not be saved leaves nothing behind, and says why', async () => {
    const driver = await start();
    await fill(driver);
    engine.failure = new Error('the definition can not be written: no space left');
    driver.type(`${KEY.tab}${KEY.enter}`);
    await driver.waitFor('db was not made: the definition can not be written');
    expect(existsSync(join(folder, 'state', 'disks', 'db.img'))).toBe(false);
    // The form is there again.
    expect(driver.screen).toContain('Start from');
  });

  test('whose disk is there already is not made', async () => {
    mkdirSync(join(folder, 'state', 'disks'), { recursive: true });
    writeFileSync(join(folder, 'state', 'disks', 'db.img'), '');
    const driver = await start();
    driver.type(`db\t\t${installer()}${CTRL_S}`);
    await driver.waitFor(/db\.img exists already/);
  });

  test('from a kernel needs no disk', async () => {
    const driver = await start();
    driver.type(`db\tll\t~/vmlinuz${CTRL_S}`);
    await driver.waitFor('Make db?');
    driver.type(`${KEY.tab}${KEY.enter}`);
    await driver.waitFor('db was made');
    expect(engine.texts.get('db')).toContain(join(folder, 'vmlinuz'));
  });
});
