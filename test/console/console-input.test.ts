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
  test('are kept from a guest that has not asked for them', () => {
    push(`a${PASTE}b`);
    expect(typed).toBe('aone\rtwob');
  });

  test('reach a guest that has', () => {
    wants = true;
    push(`a${PASTE}b`);
    expect(typed).toBe(`a${PASTE}b`);
  });

  test.each([false, true])('may arrive in any pieces (wanted: %s)', wanted => {
    wants = wanted;
    for (const character of `a${PASTE}b`) push(character);
    expect(typed).toBe(wanted ? `a${PASTE}b` : 'aone\rtwob');
  });

  test('that were only begun are keys', () => {
    push('\x1b');
    expect(typed).toBe('');
    clock.advance(50);
    expect(typed).toBe('\x1b');
    push('\x1b[20');
    push('~');
    expect(typed).toBe('\x1b\x1b[20~');
  });

  test('of an end without a start are not taken for one', () => {
    push('\x1b[201~x');
    expect(typed).toBe('\x1b[201~x');
  });
});

describe('Ctrl-]', () => {
  test('leaves, and what follows it is not for the guest', () => {
    expect(push('ab\x1dcd')).toBe(3);
    expect(typed).toBe('ab');
  });

  test('is counted in the bytes of the last push, after a marker that was begun in the one before', () => {
    push('a\x1b[2');
    expect(push('\x1dx')).toBe(1);
    expect(typed).toBe('a\x1b[2');
  });

  test('in a paste is part of it', () => {
    expect(push('\x1b[200~a\x1dK\r\x1b[201~')).toBeNull();
    expect(typed).toBe('a\x1dK\r');
    expect(push('\x1d')).toBe(1);
  });

  test('leaves again when the end of a paste never comes', () => {
    push('\x1b[200~a');
    clock.advance(2000);
    expect(push('\x1d')).toBe(1);
  });
});

describe('what a guest prints', () => {
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
  ])('%j asks for markers: %s', (pieces, expected) => {
    expect(after(...pieces)).toBe(expected);
  });
});
