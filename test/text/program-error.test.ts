import { expect, test } from 'vitest';
import { programError } from '../../src/text/program-error.ts';

test.each([
  [
    'lab.nft:3:3-5: Error: No symbol type information\n  foo bar\n  ^^^\n',
    'lab.nft:3:3-5: No symbol type information',
  ],
  [
    'Error: Could not process rule: No such file or directory\ndelete table ip lab\n                ^^^\n',
    'Could not process rule: No such file or directory',
  ],
  ['Error: Attribute failed policy validation.\n\n', 'Attribute failed policy validation.'],
  [
    'Warning: old option\nRTNETLINK answers: Operation not permitted\n',
    'RTNETLINK answers: Operation not permitted',
  ],
  ['dnsmasq: cannot read /x\n  ^^^\n', 'dnsmasq: cannot read /x'],
])('%j is summarized in one line', (stderr, line) => {
  expect(programError(stderr)).toBe(line);
});

test('a program may print its error on stdout, or not at all', () => {
  expect(programError('', 'it is busy\n')).toBe('it is busy');
  expect(programError(' \n')).toBeNull();
});
