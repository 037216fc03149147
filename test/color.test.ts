import { expect, test, vi } from 'vitest';

// Ink's colors are decided when it is loaded: before the imports, say that the terminal has the 16.
vi.hoisted(() => {
  process.env.FORCE_COLOR = '1';
});

import { FakeEngine } from './support/fake-engine.ts';
import { busy, idle } from './support/guest-scripts.ts';
import { ManualClock } from './support/manual-clock.ts';
import { KEY, TerminalDriver } from './support/terminal-driver.ts';

/** Goes through list, VM screen with a colored console, and a question. */
async function tour(env: NodeJS.ProcessEnv) {
  const clock = new ManualClock();
  const engine = new FakeEngine(clock);
  const id = engine.add('demo', busy);
  engine.add('db', idle, { state: 'crashed', reason: 'triple fault' });
  engine.print(id, '\x1b[31;44mred on blue\x1b[0m \x1b[38;2;1;2;3mrgb\x1b[0m');
  const driver = new TerminalDriver(engine, clock, 80, 24, {
    env: { TERM: 'xterm', LANG: 'C.UTF-8', ...env },
  });
  await driver.waitFor('crashed');
  clock.advance(250);
  driver.type(KEY.enter);
  await driver.waitFor('red on blue');
  driver.type('K');
  await driver.waitFor('Cancel');
  driver.escape();
  driver.escape();
  await driver.waitFor('NAME');
  return driver;
}

/** SGR parameters that set a color: 30-37, 38, 40-47, 48, 90-97, 100-107. */
const colors = (written: string) =>
  [...written.matchAll(/\x1b\[([\d;]*)m/g)]
    .flatMap(([, parameters]) => parameters!.split(';').map(Number))
    .filter(parameter => (parameter >= 30 && parameter !== 39 && parameter < 49) || parameter >= 90);

test('uses the 16 colors that every terminal has', async () => {
  const found = colors((await tour({})).stdout.written);
  expect(found).not.toEqual([]);
  expect(found).not.toContain(38);
  expect(found).not.toContain(48);
});

test.each([{ NO_COLOR: '1' }, { TERM: 'dumb' }])(
  "with %j, there is no color, including the guest's",
  async env => {
    const driver = await tour(env);
    expect(colors(driver.stdout.written)).toEqual([]);
    // What color said is said without it, too.
    expect(driver.screen).toMatch(/^> +demo +running/m);
    expect(driver.screen).toMatch(/db +crashed/);
  },
);
