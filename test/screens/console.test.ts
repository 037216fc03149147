import { beforeEach, describe, expect, test } from 'vitest';
import { MAX_COPIED_BYTES } from '../../src/console/clipboard.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { busy } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { KEY, TerminalDriver } from '../support/terminal-driver.ts';

let clock: ManualClock;
let engine: FakeEngine;
let id: string;

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
  id = engine.add('demo', busy);
});

/** The console's tab. */
async function start(columns = 80, rows = 24, options = {}) {
  const driver = new TerminalDriver(engine, clock, columns, rows, { open: id, ...options });
  await driver.waitFor('q quit');
  driver.type('8');
  await driver.waitFor('SERIAL CONSOLE');
  return driver;
}

const lines = (count: number) => Array.from({ length: count }, (_, line) => `line ${line}`).join('\r\n');

/** What was put into the terminal's clipboard. */
const copied = (driver: TerminalDriver) =>
  [...driver.stdout.written.matchAll(/\x1b\]52;c;([^\x07]*)\x07/g)].map(([, text]) =>
    Buffer.from(text!, 'base64').toString(),
  );

describe('copying', () => {
  test('copies the visible lines, and reports how many', async () => {
    engine.print(id, lines(100));
    const driver = await start();
    await driver.waitFor('line 99');
    driver.type('y');
    await driver.waitFor('copied 19 lines (151) to the clipboard');
    expect(copied(driver)).toEqual([Array.from({ length: 19 }, (_, line) => `line ${line + 81}`).join('\n')]);
  });

  test('copies the lines from the mark to the current one', async () => {
    engine.print(id, lines(100));
    const driver = await start();
    await driver.waitFor('line 99');
    driver.type('kkkk ');
    await driver.waitFor('marked: y copies');
    driver.type('kk');
    await driver.waitFor('6 lines back');
    expect(driver.screen).toMatchSnapshot();
    // The mark stays with its line.
    engine.print(id, '\r\nmore');
    await driver.waitFor('7 lines back');
    driver.type('y');
    await driver.waitFor('copied 3 lines');
    expect(copied(driver)).toEqual(['line 93\nline 94\nline 95']);
    await driver.waitFor(driver => !driver.screen.includes('marked'));
  });

  test('copies no more than terminals accept, from the end', async () => {
    const line = 'x'.repeat(79);
    engine.print(id, Array.from({ length: 1500 }, () => line).join('\r\n'));
    const driver = await start();
    await driver.waitFor(line);
    driver.type('g ');
    await driver.waitFor('marked');
    driver.type('Gy');
    await driver.waitFor(/copied 937 lines .*; 563 before do not fit/);
    expect(copied(driver)[0]!.length).toBeLessThanOrEqual(MAX_COPIED_BYTES);
  });

  test('copies only the text of what a guest printed', async () => {
    engine.print(id, 'a\x1b]52;c;ZXZpbA==\x07b \u202eright\x1b[31m red\x9b5n');
    const driver = await start();
    await driver.waitFor('ab');
    driver.type('y');
    await driver.waitFor('copied');
    expect(copied(driver)).toEqual(['ab ?right red']);
  });
});

describe('searching', () => {
  test('finds older lines, and back, and reports when there is none', async () => {
    engine.print(id, 'an ERROR here\r\n');
    engine.print(id, `${lines(50)}\r\nan error there\r\n`);
    engine.print(id, lines(50));
    const driver = await start();
    await driver.waitFor('line 49');
    driver.type(`/error${KEY.enter}`);
    await driver.waitFor('an error there');
    expect(driver.screen).toContain('50 lines back, /error');
    driver.type('n');
    await driver.waitFor('an ERROR here');
    driver.type('n');
    await driver.waitFor('no older line has "error"');
    driver.type('N');
    await driver.waitFor('an error there');
  });
});

describe('several terminals', () => {
  test('see the keyboard holder', async () => {
    const driver = await start();
    const other = engine.openConsole(
      id,
      { printed: () => {} },
      { watcher: { name: 'bob@pts/7', answers: true } },
    );
    await other.takeKeyboard();
    await driver.waitFor('SERIAL CONSOLE, keyboard: bob@pts/7');
    clock.advance(100);
    engine.print(id, 'what bob types');
    clock.advance(100);
    await driver.waitFor('what bob types');
  });

  test('ask before they take the keyboard, and are notified when it is taken from them', async () => {
    const driver = await start();
    const other = engine.openConsole(
      id,
      { printed: () => {} },
      { watcher: { name: 'bob@pts/7', answers: true } },
    );
    await other.takeKeyboard();
    driver.type('c');
    await driver.waitFor('Take the keyboard of demo?');
    expect(driver.screen).toContain('bob@pts/7 has the keyboard');
    expect(driver.screen).toMatchSnapshot();
    driver.type(`${KEY.tab}${KEY.enter}`);
    await driver.waitFor('you type to the guest');
    driver.type('ls\r');
    await other.takeKeyboard(true);
    await driver.waitFor('bob@pts/7 has taken the keyboard of demo');
    driver.type('?');
    await driver.waitFor('Move');
    expect(engine.typed.get(id)).toBe('ls\r');
  });
});

test('the scroll position stays the same while more is printed', async () => {
  engine.print(id, lines(100));
  const driver = await start();
  await driver.waitFor('line 99');
  driver.type(KEY.pageUp);
  await driver.waitFor('19 lines back');
  const before = driver.lines.slice(3, -2);
  engine.print(id, `\r\n${lines(10)}`);
  await driver.waitFor('29 lines back');
  expect(driver.lines.slice(3, -2)).toEqual(before);
});

describe('a hostile guest', () => {
  /** What Ink and vring write: cursor, erasing, colors, modes of ours. */
  const OURS = /\x1b\[(?:\d*[ABCDEGHJK]|\d+;\d+H|[\d;]*m|\?(?:25|1049|2004|2026)[hl]|6n)/g;
  const ESCAPES = [
    '\x1b]52;c;ZXZpbA==\x07',
    '\x1b]0;title\x1b\\',
    '\x1b]8;;http://evil\x07link\x1b]8;;\x07',
    '\x1bP$q"p\x1b\\',
    '\x1bP+q544e\x1b\\',
    '\x1b_Gf=100;AAAA\x1b\\',
    '\x1b^private\x1b\\',
    '\x1bXstart of string\x1b\\',
    '\x9b31m\x9d0;c1 title\x9c\x90q\x9c',
    '\x1b[5n\x1b[c\x1b[>q\x1b[21t\x1b[?1004h\x1b[?1003h\x1b[?1049h',
    '\u202eevil\u2066\u2069\u061c\u200f',
    '\x07\x0e\x0f\x05\x1bc\x1b(0lqqk\x1b(B',
    '\x1b[9999;9999H\x1b[2J\x1b[3J\x1b]4;1;?\x07\x1b]10;?\x07',
    '\ud83d\ude00\u0301\u200d\ufe0f\u{e0041}',
  ];

  /** The same garbage each time: a linear congruential generator (Numerical Recipes). */
  function garbage(length: number): string {
    let seed = 4;
    let text = '';
    while (text.length < length) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const pick = seed >>> 24;
      text += pick < 64 ? ESCAPES[pick % ESCAPES.length]! : String.fromCharCode(pick);
    }
    return text;
  }

  test('sends the terminal only text and colors', async () => {
    for (const sequence of ESCAPES) engine.print(id, `${sequence}\r\n`);
    const driver = await start();
    engine.print(id, garbage(20_000));
    engine.print(id, '\x18\x1b\\\x1bcthe end\r\n');
    await driver.waitFor(driver => {
      clock.advance(100);
      return driver.screen.includes('the end');
    });
    for (const key of [KEY.pageUp, KEY.pageUp, 'g', 'G', '1', '8']) {
      driver.type(key);
      clock.advance(100);
      await driver.settled();
    }
    const rest = driver.stdout.written.replace(OURS, '');
    expect(rest).not.toMatch(/[\u0000-\u0009\u000b\u000c\u000e-\u001f\u007f-\u009f]/);
    expect(rest).not.toMatch(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/);
    expect(driver.stdout.written).not.toMatch(/\x1b\[\?100\d/);
    expect(driver.wrapped).toBe(false);
  });
});

describe('a paste into the console', () => {
  const paste = '\x1b[200~ls\r\x1b[201~';

  test('is bracketed only for a guest that has enabled it', async () => {
    engine.print(id, '# ');
    const driver = await start();
    driver.type('c');
    await driver.waitFor('you type to the guest');
    driver.type(paste);
    expect(engine.typed.get(id)).toBe('ls\r');
    engine.print(id, '\x1b[?2004hready');
    clock.advance(100);
    await driver.waitFor('ready');
    driver.type(paste);
    expect(engine.typed.get(id)).toBe(`ls\r${paste}`);
  });
});

describe('a VM with several consoles', () => {
  const CONSOLES = [
    { port: 0, name: 'com1' },
    { port: 1, name: 'com2' },
    { port: 2, name: 'debugcon0' },
  ];

  beforeEach(() => {
    engine = new FakeEngine(clock);
    id = engine.add('demo', { ...busy, consoles: CONSOLES });
    CONSOLES.forEach(({ port, name }) => {
      engine.print(id, `this is ${name}\r\n`, port);
    });
  });

  test('shows one after another, and types into the one shown', async () => {
    const driver = await start();
    await driver.waitFor('SERIAL CONSOLE com1 (1 of 3, t)');
    await driver.waitFor('this is com1');
    driver.type('t');
    await driver.waitFor('com2 (2 of 3, t)');
    clock.advance(50);
    await driver.waitFor('this is com2');
    expect(driver.screen).not.toContain('this is com1');
    driver.type('c');
    await driver.waitFor('you type to the guest');
    driver.type('hello');
    await driver.waitFor(() => engine.typed.get(`${id}/1`) === 'hello');
    expect(engine.typed.get(id)).toBeUndefined();
    driver.type('\x1d');
    await driver.waitFor(driver => !driver.screen.includes('you type to the guest'));
    driver.type('tt');
    await driver.waitFor('com1 (1 of 3, t)');
    clock.advance(50);
    await driver.waitFor('this is com1');
  });

  test('shows who else types into the one shown', async () => {
    const driver = await start();
    driver.type('t');
    await driver.waitFor('com2 (2 of 3');
    driver.type('c');
    await driver.waitFor('you type to the guest');
    const other = engine.openConsole(
      id,
      { printed: () => {} },
      { port: 1, watcher: { name: 'anna@pts/1', answers: true } },
    );
    await other.takeKeyboard(true);
    await driver.waitFor('anna@pts/1 has taken the keyboard of demo');
    await driver.waitFor('keyboard: anna@pts/1');
    driver.type('t');
    await driver.waitFor('debugcon0 (3 of 3, t)');
    expect(driver.lines.find(line => line.includes('debugcon0'))).not.toContain('keyboard');
  });

  test('shows the first one if another machine does not have the one shown', async () => {
    const driver = await start();
    driver.type('tt');
    await driver.waitFor('debugcon0 (3 of 3, t)');
    const vm = engine.vms().find(vm => vm.id === id)!;
    engine.become(id, 'running', { topology: { ...vm.topology!, consoles: CONSOLES.slice(0, 2) } });
    await driver.waitFor('com1 (1 of 2, t)');
    clock.advance(50);
    await driver.waitFor('this is com1');
  });
});

test('a VM with one console has no next console', async () => {
  const driver = await start();
  driver.type('t');
  await driver.waitFor('the VM has one console');
});
