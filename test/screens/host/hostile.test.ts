import { expect, test } from 'vitest';
import { EVIL, hostileTree, OBEYED } from '../../host/trees/hostile.ts';
import { HostDriver } from '../../support/host-driver.ts';
import { KEY } from '../../support/terminal-driver.ts';

const { enter, esc, tab } = KEY;

let driver: HostDriver;

/** What a picture is drawn with, which is Ink's and ours: cursor movement, colors, modes. */
const OURS = /\x1b(?:\[[?>]?[\d;]*[A-Za-z]|[78])|[\r\n\t]/g;

test('names on a host reach the terminal only as text', async () => {
  driver = new HostDriver(hostileTree(), { columns: 140, rows: 50 });
  await driver.press('2');
  expect(driver.screen).toContain('[1337h');
  // Each screen, a function, what is asked for when one is to be bound, a filter, and the log.
  await driver.press('j', 'j', enter, 'd', esc, esc, '3', '4', 'E', '5', '6', '0', '7', '2');
  await driver.press('/', 'nvme', enter, 'B', tab, esc, esc, ':', 'pci', enter);
  const written = driver.terminal.stdout.written;
  expect(written).not.toContain('\x1b[1337h');
  expect(written).not.toContain('\x1b]52');
  expect(written).not.toContain('\x1b[8m');
  expect(written.replace(OURS, '')).not.toMatch(OBEYED);
  expect(EVIL).toMatch(OBEYED);
});
