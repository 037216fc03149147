import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeEngine } from '../support/fake-engine.ts';
import { busy, idle } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { KEY, TerminalDriver } from '../support/terminal-driver.ts';

let clock: ManualClock;
let engine: FakeEngine;
let folder: string;
const { VISUAL, EDITOR } = process.env;

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
  engine.add('web', idle, { state: 'off', defined: true });
  engine.texts.set('web', 'name: web\nmemory: 1G\n');
  folder = temporaryFolder();
});
afterEach(() => {
  for (const [name, value] of Object.entries({ VISUAL, EDITOR })) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

async function start(columns = 80, rows = 24, options = {}) {
  const driver = new TerminalDriver(engine, clock, columns, rows, options);
  await driver.waitFor('q quit');
  return driver;
}

/** The user's editor is a shell script, which gets the file as $1. */
function editor(script: string): void {
  const file = join(folder, 'editor');
  writeFileSync(file, `#!/bin/sh\necho "$1" >> ${folder}/edited\n${script}\n`);
  chmodSync(file, 0o755);
  process.env.VISUAL = file;
}

/** The file that was edited last. */
const draft = () => readFileSync(join(folder, 'edited'), 'utf8').trim().split('\n').at(-1)!;

describe('the definition', () => {
  test.each([
    [60, 20],
    [80, 24],
    [120, 40],
  ])('can be read at %i x %i', async (columns, rows) => {
    engine.texts.set(
      'web',
      `name: web\n${'# a comment that is longer than any terminal is wide '.repeat(4)}\n`,
    );
    const driver = await start(columns, rows);
    driver.type('y');
    await driver.waitFor('web: its definition');
    expect(driver.screen).toMatchSnapshot();
    expect(driver.wrapped).toBe(false);
    driver.escape();
    await driver.waitFor('q quit');
  });

  test('that is missing is reported', async () => {
    engine.add('demo', busy);
    const driver = await start();
    driver.type('je');
    await driver.waitFor('cannot edit the definition: demo has no definition');
  });

  test('is edited in $VISUAL, which owns the terminal in the meantime, and saved', async () => {
    editor('sed -i s/1G/2G/ "$1"');
    const driver = await start();
    driver.type('e');
    await driver.waitFor('web is saved');
    expect(engine.texts.get('web')).toBe('name: web\nmemory: 2G\n');
    expect(existsSync(dirname(draft()))).toBe(false);
    // The alternate screen was left, and is there again.
    const { written } = driver.stdout;
    expect(written.match(/\x1b\[\?1049l/g)).toHaveLength(1);
    expect(written.match(/\x1b\[\?1049h/g)).toHaveLength(2);
    expect(driver.stdin.raw).toBe(true);
    driver.type('?');
    await driver.waitFor('Move');
  });

  test('is not saved without a change', async () => {
    editor('true');
    const driver = await start();
    driver.type('e');
    await driver.waitFor('web is unchanged');
    expect(engine.calls).toEqual([]);
  });

  test('that is invalid is edited again; its text is never lost', async () => {
    editor('echo "more: $(date +%N)" >> "$1"');
    const driver = await start();
    engine.failure = new Error('web.yaml, line 3, more: there is no such key; did you mean memory?');
    driver.type('e');
    await driver.waitFor('web was not saved');
    expect(driver.screen).toContain('web.yaml, line 3, more: there is no such key');
    expect(driver.screen).toContain('>[ Edit again ]');
    const first = readFileSync(draft(), 'utf8');
    engine.failure = new Error('still wrong');
    driver.type(KEY.enter);
    await driver.waitFor('still wrong');
    expect(readFileSync(draft(), 'utf8').startsWith(first)).toBe(true);
    driver.type(`${KEY.tab}${KEY.enter}`);
    await driver.waitFor('Your text is kept in');
    expect(existsSync(draft())).toBe(true);
    rmSync(dirname(draft()), { recursive: true });
    expect(engine.texts.get('web')).toBe('name: web\nmemory: 1G\n');
  });

  test('that someone else has changed in the meantime is not overwritten', async () => {
    editor(`sed -i s/1G/2G/ "$1"; while [ ! -e ${folder}/go ]; do sleep 0.01; done`);
    const driver = await start();
    driver.type('e');
    while (!existsSync(join(folder, 'edited'))) await new Promise(resolve => setTimeout(resolve, 10));
    engine.texts.set('web', 'name: web\nmemory: 3G\n');
    writeFileSync(join(folder, 'go'), '');
    await driver.waitFor('it was changed in the meantime');
    expect(readFileSync(draft(), 'utf8')).toContain('2G');
    expect(engine.texts.get('web')).toContain('3G');
    rmSync(dirname(draft()), { recursive: true });
  });

  test('reports a missing editor', async () => {
    process.env.VISUAL = 'no-such-editor';
    const driver = await start();
    driver.type('e');
    await driver.waitFor('there is no editor "no-such-editor": set VISUAL or EDITOR');
  });
});
