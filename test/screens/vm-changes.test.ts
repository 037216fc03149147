import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeEngine } from '../support/fake-engine.ts';
import { idle } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { KEY, TerminalDriver } from '../support/terminal-driver.ts';

let folder: string;
let engine: FakeEngine;
let driver: TerminalDriver;
const { VRING_STATE_DIR } = process.env;

beforeEach(async () => {
  folder = temporaryFolder();
  process.env.VRING_STATE_DIR = folder;
  const clock = new ManualClock();
  engine = new FakeEngine(clock);
  engine.add('db', idle, { defined: true });
  engine.add('web', idle, { state: 'off', defined: true });
  engine.texts.set('web', 'name: web\nmachine: {kernel: /bin/sh}\nnics: [{mac: "52:54:00:00:00:01"}]\n');
  driver = new TerminalDriver(engine, clock, 80, 24);
  await driver.waitFor('q quit');
  driver.type('j');
  await driver.waitFor(/^> +web/m);
});
afterEach(() => {
  if (VRING_STATE_DIR === undefined) delete process.env.VRING_STATE_DIR;
  else process.env.VRING_STATE_DIR = VRING_STATE_DIR;
});

test('a VM is renamed once its new name is valid; the cursor stays on it', async () => {
  driver.type('M');
  await driver.waitFor('Rename web to: web');
  driver.type(`\x15db${KEY.enter}`);
  await driver.waitFor('there is already a VM named db');
  driver.type(`\x15a b${KEY.enter}`);
  await driver.waitFor('expected a name');
  expect(engine.calls).toEqual([]);
  driver.type(`\x15site${KEY.enter}`);
  await driver.waitFor('web was renamed to site');
  expect(driver.screen).toMatch(/^> +site/m);
});

test('a running VM cannot be renamed', async () => {
  driver.type('kM');
  await driver.waitFor('cannot rename the VM: db is running: shut it down first');
});

test('the number of vCPUs of a VM that is off is changed in its definition', async () => {
  driver.type('E');
  await driver.waitFor('vCPUs of web: a number from 1 to 64, 1 now');
  driver.type(`0${KEY.enter}`);
  await driver.waitFor('how many vCPUs? A number from 1 to 64');
  expect(engine.calls).toEqual([]);
  driver.type(`\x154${KEY.enter}`);
  await driver.waitFor('web has 4 vCPUs at its next start');
  expect(engine.calls).toEqual(['set 4 vCPUs of web']);
});

test('a running VM without room for more vCPUs says what it needs', async () => {
  driver.type('kE');
  await driver.waitFor('cannot change its number of vCPUs: db has no room (cpus.maxcpus)');
  expect(engine.calls).toEqual([]);
});

test('autostart is turned on in the definition', async () => {
  driver.type('T');
  await driver.waitFor('autostart is on for web');
  expect(engine.texts.get('web')).toContain('\nautostart: true\n');
});

test('a VM is cloned after its plan was shown', async () => {
  driver.type('C');
  await driver.waitFor('Clone web as: web-2');
  driver.type(KEY.enter);
  await driver.waitFor('Clone web as web-2?');
  expect(engine.texts.has('web-2')).toBe(false);
  driver.type(`${KEY.tab}${KEY.enter}`);
  await driver.waitFor('web-2 is a clone of web');
  expect(engine.texts.get('web-2')).toMatch(/^name: web-2\n/);
  expect(engine.texts.get('web-2')).not.toContain('52:54:00:00:00:01');
});
