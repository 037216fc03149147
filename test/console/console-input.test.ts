import { beforeEach, describe, expect, test } from 'vitest';
import { ConsoleInput } from '../../src/console/console-input.ts';
import { PasteMode } from '../../src/console/paste-mode.ts';
import { ManualClock } from '../support/manual-clock.ts';

const PASTE = '\x1b[200~one\rtwo\x1b[201~';

let clock: ManualClock;
let typed: string;
let wants: boolean;
let input: ConsoleInput;

beforeEach(() => {
  clock = new ManualClock();
  typed = '';
  wants = false;
  input = new ConsoleInput(
    {
      wantsPasteMarkers: () => wants,
      typed: bytes => {
        typed += Buffer.from(bytes).toString('latin1');
      },
    },
    clock,
  );
});

const push = (text: string) => input.push(Buffer.from(text, 'latin1'));

describe('paste markers', () => {
  test('are removed for a guest that has not enabled them', () => {
    push(`a${PASTE}b`);
    expect(typed).toBe('aone\rtwob');
  });

  test('are passed to a guest that has', () => {
    wants = true;
    push(`a${PASTE}b`);
    expect(typed).toBe(`a${PASTE}b`);
  });

  test.each([false, true])('may arrive in any chunks (enabled: %s)', wanted => {
    wants = wanted;
    for (const character of `a${PASTE}b`) push(character);
    expect(typed).toBe(wanted ? `a${PASTE}b` : 'aone\rtwob');
  });

  test('that are incomplete are keys', () => {
    push('\x1b');
    expect(typed).toBe('');
    clock.advance(50);
    expect(typed).toBe('\x1b');
    push('\x1b[20');
    push('~');
    expect(typed).toBe('\x1b\x1b[20~');
  });

  test('that end a paste without a start are ignored', () => {
    push('\x1b[201~x');
    expect(typed).toBe('\x1b[201~x');
  });
});

describe('Ctrl-]', () => {
  test('detaches, and later input is not sent to the guest', () => {
    expect(push('ab\x1dcd')).toBe(3);
    expect(typed).toBe('ab');
  });

  test('is counted in the bytes of the last push, after a marker that began in the previous one', () => {
    push('a\x1b[2');
    expect(push('\x1dx')).toBe(1);
    expect(typed).toBe('a\x1b[2');
  });

  test('in a paste is part of it', () => {
    expect(push('\x1b[200~a\x1dK\r\x1b[201~')).toBeNull();
    expect(typed).toBe('a\x1dK\r');
    expect(push('\x1d')).toBe(1);
  });

  test('detaches again if the end of a paste never arrives', () => {
    push('\x1b[200~a');
    clock.advance(2000);
    expect(push('\x1d')).toBe(1);
  });
});

describe('guest output', () => {
  const after = (...pieces: string[]) => {
    const mode = new PasteMode();
    for (const piece of pieces) mode.printed(Buffer.from(piece, 'latin1'));
    return mode.on;
  };

  test.each([
    [['\x1b[?2004h'], true],
    [['\x1b[?2004h$ ', '\x1b[?2004l'], false],
    [['\x1b[?1;2004;25h'], true],
    [['\x1b[?20', '04h'], true],
    [[...'\x1b[?2004h'], true],
    [['\x1b[?2004h', '\x1bc'], false],
    [['\x1b[?12004h'], false],
    [['\x1b[2004h'], false],
    [['\x1b[?2004h', '\x1b[?25l'], true],
  ])('%j enables markers: %s', (pieces, expected) => {
    expect(after(...pieces)).toBe(expected);
  });
});
