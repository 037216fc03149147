import { existsSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import type { LogEntry } from '../../src/engine/vm-info.ts';
import { fileLog } from '../../src/manager/manager-log.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const entry = (text: string, level: LogEntry['level'] = 'info', vm: string | null = null): LogEntry => ({
  number: 1,
  at: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  vm,
  level,
  text,
});

describe('the log of a background manager', () => {
  test('has one line per entry, whatever its text', () => {
    const path = join(temporaryFolder(), 'manager.log');
    const write = fileLog(path);
    write(entry('started', 'info', 'web'));
    write(entry('crashed: \x1b[2J\nRIP=1', 'error', 'web'));
    write(entry('hm', 'warning'));
    expect(readFileSync(path, 'utf8')).toBe(
      '2026-01-02T03:04:05.678Z web: started\n' +
        '2026-01-02T03:04:05.678Z error: web: crashed: ?[2J\n' +
        '2026-01-02T03:04:05.678Z error: web: RIP=1\n' +
        '2026-01-02T03:04:05.678Z warning: hm\n',
    );
    expect((statSync(path).mode & 0o777).toString(8)).toBe('600');
  });

  test('is rotated when it is long, and the previous one is kept', () => {
    const path = join(temporaryFolder(), 'manager.log');
    const write = fileLog(path);
    const line = 'x'.repeat(1000);
    for (let count = 0; count < 2500; count++) write(entry(line));
    expect(statSync(path).size).toBeLessThan(1.1 * 2 ** 20);
    expect(statSync(`${path}.1`).size).toBeGreaterThan(0.9 * 2 ** 20);
    expect(existsSync(`${path}.2`)).toBe(false);
  });

  test('loses only lines when the disk is full, and reports how many', () => {
    const path = join(temporaryFolder(), 'manager.log');
    symlinkSync('/dev/full', path);
    const write = fileLog(path);
    write(entry('one\ntwo'));
    write(entry('three'));
    rmSync(path);
    write(entry('four'));
    expect(readFileSync(path, 'utf8')).toMatch(/ warning: 3 lines could not be written here\n.* four\n$/);
  });
});

describe('the log on stderr', () => {
  const SCRIPT = `
    import { fstatSync } from 'node:fs';
    import { stderrLog } from './src/manager/manager-log.ts';
    const { dev, ino } = fstatSync(2);
    if (process.argv[1] === 'journal') process.env.JOURNAL_STREAM = dev + ':' + ino;
    if (process.argv[1] === 'other') process.env.JOURNAL_STREAM = '1:1';
    const write = stderrLog();
    write({ number: 1, at: 0, vm: 'web', level: 'error', text: 'crashed\\nRIP=1' });
    write({ number: 2, at: 0, vm: null, level: 'info', text: 'ready' });`;

  test.each([
    ['journal', '<3>web: crashed\n<3>web: RIP=1\n<6>ready'],
    ['other', 'vring: error: web: crashed\nvring: error: web: RIP=1\nvring: ready'],
    ['none', 'vring: error: web: crashed\nvring: error: web: RIP=1\nvring: ready'],
  ])('suits its reader: %s', async (reader, text) => {
    const { stderr } = await execa(process.execPath, [
      '--disable-warning=ExperimentalWarning',
      '--input-type=module',
      '-e',
      SCRIPT,
      reader,
    ]);
    expect(stderr).toBe(text);
  });
});
