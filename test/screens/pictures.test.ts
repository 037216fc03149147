import { expect, test, vi } from 'vitest';
import { serverTree } from '../host/trees/server.ts';
import type { FakeEngine } from '../support/fake-engine.ts';
import { complete, idle } from '../support/guest-scripts.ts';
import { HostDriver } from '../support/host-driver.ts';
import { styledScreen, styleMap } from '../support/styles.ts';

// Ink's colors look at it once, when they are loaded.
vi.hoisted(() => {
  process.env.FORCE_COLOR = '1';
});

const SIZES = [
  [80, 24],
  [120, 40],
  [60, 20],
] as const;

/** Each screen and tab, and the keys that lead to it from the one before. */
const SCREENS = [
  ['the overview', ['0', 'j']],
  ['the log', ['7']],
  ['the log with a filter', ['/crash\r']],
  ['a VM: summary', ['1', 'g\r']],
  ['a VM: vCPUs', ['2j']],
  ['a VM: exits by cost', ['3j']],
  ['a VM: exits by address', ['>>']],
  ['a VM: queues', ['4']],
  ['a VM: disks', ['5']],
  ['a VM: network cards', ['6']],
  ['a VM: devices', ['7j']],
  ['a VM: console', ['8']],
  ['a VM: events', ['9kk']],
] as const;

/** VMs in every kind of trouble, and what is known of it. */
function script(engine: FakeEngine): void {
  const id = engine.add('database', complete, {
    defined: true,
    autostart: true,
    keyboardHolder: 'ada@pts/3',
    broken: { rng0: 'its ring is not in RAM' },
  });
  engine.add('web-1', idle, { state: 'crashed', reason: 'triple fault', defined: true });
  engine.add('web-2', idle, {
    state: 'off',
    defined: true,
    problem: 'web-2.yaml:4: memory.size: expected a size such as 512M',
  });
  engine.print(id, 'Debian GNU/Linux 13 database ttyS0\r\n\r\ndatabase login: ');
  engine.note('info', null, 'the manager has started');
  engine.note('info', id, 'started');
  engine.note('error', 'web-1', 'crashed: triple fault\nrip ffffffff81000000\nrax 0000000000000000');
  engine.note(
    'warning',
    id,
    'the clock of the guest is a long way behind that of the host: '.repeat(2).trim(),
  );
  engine.note('error', id, 'rng0 is broken: its ring is not in RAM');
}

async function start(...options: ConstructorParameters<typeof HostDriver>): Promise<HostDriver> {
  const driver = new HostDriver(...options);
  script(driver.engine);
  driver.clock.advance(1250);
  await driver.still();
  return driver;
}

/** The same screen, whatever the characters are that are not ASCII in the one. */
function withGlyphsOf(unicode: string, ascii: string): string {
  return [...ascii]
    .map((character, at) => (/[^\x20-\x7e\n]/.test([...unicode][at] ?? '') ? [...unicode][at] : character))
    .join('');
}

test.each(SIZES)('every screen at %i x %i: in color, without, and in ASCII', async (columns, rows) => {
  const size = { columns, rows };
  const colored = await start(serverTree(), size);
  const plain = await start(serverTree(), {
    ...size,
    env: { TERM: 'xterm', LANG: 'C.UTF-8', NO_COLOR: '1' },
  });
  const ascii = await start(serverTree(), { ...size, env: { TERM: 'xterm', LANG: 'C' } });
  const drivers = [colored, plain, ascii];
  for (const [name, keys] of SCREENS) {
    await Promise.all(drivers.map(driver => driver.press(...keys)));
    for (const { clock } of drivers) clock.advance(1000);
    await Promise.all(drivers.map(driver => driver.still()));
    expect(styledScreen(colored.terminal)).toMatchSnapshot(name);
    expect(colored.terminal.wrapped).toBe(false);
    expect(plain.screen).toBe(colored.screen);
    expect(styleMap(plain.terminal).join('')).not.toMatch(/[rgymc]/i);
    expect(ascii.screen).toMatch(/^[\x20-\x7e\n]*$/);
    expect(withGlyphsOf(colored.screen, ascii.screen)).toBe(colored.screen);
  }
});

test('no terminal is too small for any screen', async () => {
  for (const [columns, rows] of [
    [1, 1],
    [12, 4],
    [40, 9],
  ] as const) {
    const driver = await start(serverTree(), { columns, rows });
    for (const [, keys] of SCREENS) {
      await driver.press(...keys);
      expect(driver.terminal.stdout.written).not.toContain('could not be drawn');
      expect(driver.terminal.wrapped).toBe(false);
    }
  }
});
