import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FIELDS } from '../../src/actions/new-vm-form.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { idle } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { KEY, TerminalDriver } from '../support/terminal-driver.ts';

const CTRL_S = '\x13';
/** What of the host a network card can be connected to. */
const HERE = { bridges: ['br0'], interfaces: [], networks: ['default', 'lab'], passt: false };

let clock: ManualClock;
let engine: FakeEngine;
let folder: string;
const { VRING_STATE_DIR, HOME } = process.env;

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
  engine.add('web', idle, { state: 'off', defined: true });
  folder = temporaryFolder();
  process.env.VRING_STATE_DIR = join(folder, 'state');
  process.env.HOME = folder;
  writeFileSync(join(folder, 'vmlinuz'), 'kernel');
});
afterEach(() => {
  for (const [name, value] of Object.entries({ VRING_STATE_DIR, HOME })) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

/** The form as it opens. */
async function open(columns = 80, rows = 24, options = {}) {
  const driver = new TerminalDriver(engine, clock, columns, rows, {
    networkChoices: () => HERE,
    ...options,
  });
  await driver.waitFor('q quit');
  driver.type('n');
  await driver.waitFor('Start from');
  return driver;
}

/** The form for a VM from a kernel. */
async function start(columns = 80, rows = 24, options = {}) {
  const driver = await open(columns, rows, options);
  driver.type(`${KEY.tab}h`);
  await driver.waitFor('[kernel]');
  driver.type(KEY.up);
  await driver.waitFor('Name: ');
  return driver;
}

/** The value column of a field's line. */
const shows = (label: string, value: string) => (driver: TerminalDriver) =>
  driver.lines.some(line =>
    new RegExp(`^ >? ?!? *${label} +${value.replace(/[[\]()/.~+]/g, '\\$&')} *$`).test(line),
  );

describe('the form for a new VM', () => {
  test('does not show earlier messages', async () => {
    const driver = await open();
    driver.escape();
    await driver.waitFor('q quit');
    driver.type('P');
    await driver.waitFor('cannot pause: web is off');
    driver.type('n');
    await driver.waitFor('Start from');
    expect(driver.screen).not.toContain('web is off');
  });

  test.each([
    [60, 20],
    [80, 24],
    [120, 40],
  ])('shows errors next to the field, at %i x %i', async (columns, rows) => {
    const driver = await start(columns, rows);
    driver.type('web');
    await driver.waitFor('there is already a VM named web');
    expect(driver.screen).toMatchSnapshot();
    expect(driver.wrapped).toBe(false);
    driver.type('!');
    await driver.waitFor('expected a name of at most 63 letters');
    driver.type('\x7f2');
    await driver.waitFor(shows('Name', 'web2'));
    await driver.waitFor(driver => !driver.screen.includes('!'));
  });

  test('offers what this version can start', async () => {
    const driver = await open();
    expect(driver.screen).toMatch(/Start from +\[installer\] +cloud +kernel *$/m);
    driver.type(`${KEY.tab}ll`);
    await driver.waitFor('[kernel]');
    driver.type(`${KEY.tab}`);
    await driver.waitFor('Kernel: a file');
    expect(driver.screen).toMatch(/\[kernel\]/);
  });

  test('replaces a default by typing, and restores it by erasing', async () => {
    const driver = await start();
    driver.type(KEY.up.repeat(6));
    await driver.waitFor('Memory: a size');
    driver.type('1G');
    await driver.waitFor(shows('Memory', '1G'));
    driver.type('\x15');
    driver.type(KEY.up);
    await driver.waitFor(shows('Memory', '256M'));
    // Moving the cursor makes it a text to edit.
    driver.type(`${KEY.down}\x1b[F\x7f\x7f0M`);
    await driver.waitFor(shows('Memory', '250M'));
  });

  test('toggles the autostart box by Space', async () => {
    const driver = await start();
    driver.type(`${KEY.up}${KEY.up}`);
    await driver.waitFor('Autostart: Space turns');
    expect(driver.screen).toMatch(/Autostart +\[ \]/);
    driver.type(' ');
    await driver.waitFor(shows('Autostart', '[x]'));
    driver.type(' ');
    await driver.waitFor(shows('Autostart', '[ ]'));
  });

  test('keeps its values when it is left, or when the terminal is resized', async () => {
    const driver = await start();
    driver.type(`db\t\t/long/${'path/'.repeat(30)}end`);
    await driver.waitFor(/path\/end/);
    driver.resize(60, 20);
    await driver.waitFor(
      driver => driver.lines.every(line => line.length <= 60) && /path\/end/.test(driver.screen),
    );
    expect(driver.wrapped).toBe(false);
    driver.escape();
    await driver.waitFor('your input is kept');
    driver.type('n');
    await driver.waitFor(shows('Name', 'db'));
    expect(driver.screen).toMatch(/Kernel +\/long\/path/);
  });

  test('moves to the invalid field instead of showing a plan', async () => {
    const driver = await start();
    driver.type(`db${CTRL_S}`);
    await driver.waitFor('Kernel: a file');
    expect(driver.screen).toContain('>! Kernel');
    expect(driver.screen).toContain('expected the path of a file');
  });

  test('reports which part of a value this version does not support', async () => {
    const driver = await start();
    driver.type(`db\t\t~/vmlinuz${KEY.down.repeat(3)}`);
    await driver.waitFor('Network: Tab completes it');
    driver.type('user,model=igb');
    await driver.waitFor(/this version does not support igb network cards/);
    driver.type(CTRL_S);
    await driver.waitFor('Create db?');
    expect(driver.screen).toContain('it cannot start');
    expect(driver.screen).not.toContain('Create and start');
  });

  test('does not submit on a pasted line end', async () => {
    const driver = await start();
    driver.type('\x1b[200~db\r\n\x1b[201~');
    await driver.waitFor(shows('Name', 'db'));
    expect(driver.screen).toContain('Name: letters');
  });
});

describe('a path', () => {
  const atKernel = async () => {
    mkdirSync(join(folder, 'boot', 'efi'), { recursive: true });
    for (const name of ['vmlinuz-1', 'vmlinuz-2', 'initrd', '.hidden', 'bad\x1b[31mname'])
      writeFileSync(join(folder, 'boot', name), '');
    const driver = await start();
    driver.type('db\t\t');
    await driver.waitFor('Kernel: a file');
    return driver;
  };

  test('is completed as far as it is unambiguous, and then the candidates are listed', async () => {
    const driver = await atKernel();
    driver.type('~/bo\t');
    await driver.waitFor(shows('Kernel', '~/boot/'));
    driver.type('vm\t');
    await driver.waitFor(/^ +vmlinuz-1 +vmlinuz-2$/m);
    await driver.waitFor(shows('Kernel', '~/boot/vmlinuz-'));
    driver.type('2');
    await driver.waitFor(driver => !/vmlinuz-1/.test(driver.screen));
    driver.type(KEY.tab);
    await driver.waitFor('Initial RAM disk: a file');
    expect(shows('Kernel', '~/boot/vmlinuz-2')(driver)).toBe(true);
  });

  test('lists a folder without hidden files and unprintable names', async () => {
    const driver = await atKernel();
    driver.type(`${folder}/boot/\t`);
    await driver.waitFor('vmlinuz-1');
    const listed = driver.screen.match(/efi\/ +initrd +vmlinuz-1 +vmlinuz-2/);
    expect(listed).not.toBeNull();
    expect(driver.screen).not.toMatch(/hidden|bad/);
    // Another Tab continues.
    driver.type(KEY.tab);
    await driver.waitFor('Initial RAM disk: a file');
  });
});

describe('a network', () => {
  test("is one of this host's, which Tab completes", async () => {
    const driver = await start();
    driver.type(`db\t\t~/vmlinuz${KEY.down.repeat(3)}`);
    await driver.waitFor('here: user, network:default, network:lab, bridge:br0, tap, none');
    driver.type('net\t');
    await driver.waitFor(shows('Network', 'network:'));
    await driver.waitFor(/network:default +network:lab/);
    driver.type('l\t');
    await driver.waitFor(shows('Network', 'network:lab'));
    driver.type('rat');
    await driver.waitFor('there is no network labrat: there is default, lab');
    driver.type(`\x15bridge:br1`);
    await driver.waitFor('there is no bridge br1: there is br0');
  });
});

describe('a new VM', () => {
  const fill = async (driver: TerminalDriver) => {
    driver.type(`db\t\t~/vmlinuz${KEY.down.repeat(6)}1G${CTRL_S}`);
    await driver.waitFor('Create db?');
  };

  test('is shown as a plan, and created after confirmation', async () => {
    const driver = await start();
    await fill(driver);
    expect(driver.screen).toContain('>[ Back ]');
    const disk = join(folder, 'state', 'disks', 'db.img');
    expect(driver.screen.replace(/[\s│]/g, '')).toContain(`-createthedisk${disk},1G`);
    expect(existsSync(disk)).toBe(false);
    driver.type(`${KEY.tab}${KEY.enter}`);
    await driver.waitFor('db was created; S starts it');
    expect(statSync(disk).size).toBe(2 ** 30);
    expect(engine.texts.get('db')).toMatch(/^name: db\n/);
    expect(engine.texts.get('db')).toContain(join(folder, 'vmlinuz'));
    expect(engine.texts.get('db')).toContain(disk);
    expect(engine.calls).not.toContain('restart db');
    await driver.waitFor('NAME');
  });

  test('can be started at once', async () => {
    const driver = await start();
    await fill(driver);
    expect(driver.screen).toContain('[ Create and start ]');
    driver.type(`${KEY.tab}${KEY.tab}${KEY.enter}`);
    await driver.waitFor('db was created and started');
    expect(engine.calls).toContain('restart db');
  });

  test('can still be changed after its plan was shown', async () => {
    const driver = await start();
    await fill(driver);
    driver.type(KEY.enter);
    await driver.waitFor('Start from');
    driver.type(`${KEY.up.repeat(8)}\x15db2${CTRL_S}`);
    await driver.waitFor('Create db2?');
  });

  test('that cannot be saved leaves nothing behind, and shows the reason', async () => {
    const driver = await start();
    await fill(driver);
    engine.failure = new Error('the definition can not be written: no space left');
    driver.type(`${KEY.tab}${KEY.enter}`);
    await driver.waitFor('db was not created: the definition can not be written');
    expect(existsSync(join(folder, 'state', 'disks', 'db.img'))).toBe(false);
    // The form is there again.
    expect(driver.screen).toContain('Start from');
  });

  test('whose disk already exists is not created', async () => {
    mkdirSync(join(folder, 'state', 'disks'), { recursive: true });
    writeFileSync(join(folder, 'state', 'disks', 'db.img'), '');
    const driver = await start();
    driver.type(`db\t\t~/vmlinuz${KEY.down.repeat(6)}1G${CTRL_S}`);
    await driver.waitFor(/db\.img already exists/);
  });

  test('from a kernel needs no disk; the button does the same as Ctrl-S', async () => {
    const driver = await start();
    driver.type(`db\t\t~/vmlinuz${KEY.down.repeat(9)}`);
    await driver.waitFor('Review and create: Enter');
    driver.type(KEY.enter);
    await driver.waitFor('Create db?');
    driver.type(`${KEY.tab}${KEY.enter}`);
    await driver.waitFor('db was created');
    expect(engine.texts.get('db')).toContain(join(folder, 'vmlinuz'));
  });
});

test('an installer boots by UEFI if selected', async () => {
  // The identifier of ISO 9660, at sector 16.
  const image = Buffer.alloc(17 * 2048);
  image.write('\x01CD001', 16 * 2048);
  writeFileSync(join(folder, 'os.iso'), image);
  const driver = await open();
  driver.type(`db\t\t~/os.iso${KEY.down}`);
  await driver.waitFor('Firmware: bios (SeaBIOS) or uefi (OVMF)');
  driver.type('l');
  await driver.waitFor('[uefi]');
  driver.type(CTRL_S);
  await driver.waitFor('Create db?');
  driver.type(`${KEY.tab}${KEY.enter}`);
  await driver.waitFor('db was created');
  expect(engine.texts.get('db')).toContain('firmware: uefi');
});

test('every hint fits on a line of 80 columns', () => {
  for (const { label, hint } of FIELDS) expect(`${label}: ${hint}`.length, hint).toBeLessThanOrEqual(78);
});
