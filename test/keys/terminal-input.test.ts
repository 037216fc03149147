import { beforeEach, describe, expect, test } from 'vitest';
import { TerminalInput } from '../../src/keys/terminal-input.ts';
import { ManualClock } from '../support/manual-clock.ts';

let clock: ManualClock;
let keys: string[];
let raw: string;
let grabbed: boolean;
let input: TerminalInput;

beforeEach(() => {
  clock = new ManualClock();
  keys = [];
  raw = '';
  grabbed = false;
  input = new TerminalInput(
    {
      grabbed: () => grabbed,
      raw: bytes => {
        raw += Buffer.from(bytes).toString('latin1');
        return bytes.length;
      },
      key: ({ name, text }) => {
        keys.push(text === undefined ? name : `${name} ${text}`);
        if (name === 'c') grabbed = true;
      },
    },
    clock,
  );
});

const type = (text: string) => input.push(Buffer.from(text));

describe('keys', () => {
  test.each([
    ['jjj', ['j', 'j', 'j']],
    ['G?/:', ['G', '?', '/', ':']],
    ['\r\n\t', ['enter', 'enter', 'tab']],
    ['\x7f\x08', ['backspace', 'backspace']],
    ['\x03\x1d\x00', ['ctrl+c', 'ctrl+]', 'ctrl+space']],
    ['\x1b[A\x1b[B\x1bOC\x1b[D', ['up', 'down', 'right', 'left']],
    ['\x1b[H\x1b[F\x1b[1~\x1b[4~', ['home', 'end', 'home', 'end']],
    ['\x1b[5~\x1b[6~\x1b[3~', ['pageup', 'pagedown', 'delete']],
    ['\x1b[1;5C\x1b[6;2~\x1b[Z', ['ctrl+right', 'shift+pagedown', 'shift+tab']],
    ['\x1bOP\x1b[24~', ['f1', 'f12']],
    ['é漢😀', ['é', '漢', '😀']],
    ['a b', ['a', 'space', 'b']],
  ])('%j are %j', (text, expected) => {
    type(text);
    expect(keys).toEqual(expected);
  });

  test('that arrive in pieces are reassembled', () => {
    for (const byte of '\x1b[5~é') input.push(Buffer.from(byte));
    const [first, second] = Buffer.from('é');
    input.push(Uint8Array.of(first!));
    input.push(Uint8Array.of(second!));
    expect(keys).toEqual(['pageup', 'é', 'é']);
  });

  test('Esc is a key if nothing follows it for a moment', () => {
    type('\x1b');
    expect(keys).toEqual([]);
    clock.advance(50);
    expect(keys).toEqual(['esc']);
  });

  test('Esc and a letter in one chunk, as over a slow line, are two keys', () => {
    type('\x1bj');
    expect(keys).toEqual(['esc', 'j']);
  });

  test('a control sequence that never ends is Esc and letters', () => {
    type('\x1b[1');
    clock.advance(50);
    expect(keys).toEqual(['esc', '[', '1']);
  });

  test('responses and reports of the terminal are not keys', () => {
    type('\x1b[?62;c\x1b[24;80R\x1b[Ix');
    expect(keys.at(-1)).toBe('x');
    expect(keys).not.toContain('esc');
  });

  test.each([
    ['its color', '\x1b]11;rgb:1e1e/2222/qqqq\x07'],
    ['its color, ended by ST', '\x1b]11;rgb:1e1e/2222/qqqq\x1b\\'],
    ['its version', '\x1bP>|xterm(390)\x1b\\'],
    ['a capability', '\x1bP1+r544e=787465726d\x1b\\'],
    ['its graphics', '\x1b_Gi=31;OK\x1b\\'],
  ])("the terminal's report about itself is not a key: %s", (_, reply) => {
    type(`${reply}j`);
    expect(keys).toEqual(['j']);
    for (let split = 3; split < reply.length; split++) {
      type(reply.slice(0, split));
      type(`${reply.slice(split)}j`);
    }
    expect(new Set(keys)).toEqual(new Set(['j']));
  });

  test('Esc before such letters is still Esc', () => {
    type('\x1bP');
    type('\x1b]');
    clock.advance(30);
    type('\x1bPq');
    type('\x1b]11;never');
    clock.advance(30);
    expect(keys).toEqual(['esc', 'P', 'esc', ']', 'esc', 'P', 'q', 'esc', ']', ...'11;never']);
  });

  test('invalid UTF-8 is skipped', () => {
    input.push(Uint8Array.of(0xff, 0xfe, 0x6a));
    expect(keys).toEqual(['j']);
  });
});

describe('a paste', () => {
  test('is one event, whatever is in it', () => {
    type('\x1b[200~K\rq\x1b[201~j');
    expect(keys).toEqual(['paste K\rq', 'j']);
  });

  test('is reassembled from its pieces', () => {
    type('\x1b[200~one ');
    type('two\x1b[20');
    type('1~');
    expect(keys).toEqual(['paste one two']);
  });

  test('is the same wherever its markers are split', () => {
    const bytes = '\x1b[200~one\x1b[20 two\x1b[201~j';
    for (let first = 1; first < bytes.length; first++) {
      for (let second = first; second < bytes.length; second++) {
        keys.splice(0);
        for (const piece of [bytes.slice(0, first), bytes.slice(first, second), bytes.slice(second)]) {
          type(piece);
        }
        expect(keys, `${first} ${second}`).toEqual(['paste one\x1b[20 two', 'j']);
      }
    }
  });

  test('of any length is read once, and keeps what a field can hold', () => {
    type('\x1b[200~');
    for (let piece = 0; piece < 2000; piece++) type('x'.repeat(64 * 1024));
    type('\x1b[201~j');
    expect(keys.map(key => key.length)).toEqual(['paste '.length + 64 * 1024, 1]);
  });

  test('that is never terminated ends after a while', () => {
    type('\x1b[200~rest');
    clock.advance(1000);
    expect(keys).toEqual(['paste rest']);
  });
});

test('input after the key that passes the keyboard on is passed on unchanged', () => {
  type('jc\x1b[Aq\x03');
  expect(keys).toEqual(['j', 'c']);
  expect(raw).toBe('\x1b[Aq\x03');
});
