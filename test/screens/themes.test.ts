import { expect, test, vi } from 'vitest';

// Ink's colors are decided when it is loaded: before the imports, say that the terminal has the 16.
vi.hoisted(() => {
  process.env.FORCE_COLOR = '1';
});

import { THEME_NAMES } from '../../src/theme/themes.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { busy, idle } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { styledScreen } from '../support/styles.ts';
import { TerminalDriver } from '../support/terminal-driver.ts';

test.each(THEME_NAMES)('the list in the theme %s', async theme => {
  const clock = new ManualClock();
  const engine = new FakeEngine(clock, { remote: true });
  engine.add('web', busy, { autostart: true });
  engine.add('db', idle, { state: 'crashed', reason: 'triple fault' });
  engine.add('old', idle, { state: 'off', defined: true });
  engine.add('bad', idle, { state: 'off', defined: true, problem: 'bad.yaml:1:1: name: missing' });
  const driver = await TerminalDriver.start(engine, clock, 80, 24, { theme });
  driver.type('> ');
  await driver.waitFor('1/4 marked');
  driver.type('q');
  await driver.waitFor('Quit vring?');
  expect(styledScreen(driver)).toMatchSnapshot();
  engine.lose({ kind: 'disconnected', text: 'the socket was closed' });
  await driver.waitFor('no connection');
  driver.escape();
  await driver.waitFor('q quit');
  expect(styledScreen(driver)).toMatchSnapshot('no connection');
});
