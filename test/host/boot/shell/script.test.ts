import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Dialect } from '../../../../src/host/boot/shell/lexer.ts';
import { readShellFiles } from '../../../../src/host/boot/shell/script.ts';
import { valueText } from '../../../../src/host/boot/shell/variables.ts';
import { Random } from '../../../support/random.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

function read(text: string, dialect: Dialect = 'posix', others: Record<string, string> = {}) {
  return readShellFiles({
    dialect,
    sources: [{ file: '/f', text }],
    read: each => others[each] ?? null,
  });
}

function known(text: string, name = 'GRUB_A', dialect: Dialect = 'posix'): string {
  const value = read(text, dialect).value(name);
  expect(value.unknown).toBeNull();
  return valueText(value);
}

test.each<[string, string]>([
  ['GRUB_A="a b" # c', 'a b'],
  ['GRUB_A=\'a "b" \\c\'', 'a "b" \\c'],
  ['GRUB_A=a\\ b\\#c', 'a b#c'],
  ['GRUB_A=a#b', 'a#b'],
  ['GRUB_A="a \\\nb"', 'a b'],
  ['GRUB_A="a\nb"', 'a\nb'],
  ['GRUB_A="\\$x \\"y\\" \\z"', '$x "y" \\z'],
  ['GRUB_A=x\nGRUB_A="$GRUB_A y"', 'x y'],
  ['GRUB_A=x; GRUB_A="${GRUB_A} y"', 'x y'],
  ['GRUB_A=""\nGRUB_A="${GRUB_A:-z}${GRUB_A:+q}${GRUB_A-r}"', 'z'],
  ['export GRUB_A="a b" GRUB_B=c', 'a b'],
  ['  GRUB_A=a GRUB_B=b', 'a'],
  ['GRUB_X=`lsb_release -i 2> /dev/null || echo "D"`\nGRUB_A=1', '1'],
  ['GRUB_X="$(sed \'s, release .*$,,g\' /etc/system-release)"\nGRUB_A=1', '1'],
  ['GRUB_X=$(. /etc/os-release && echo ${NAME})\nGRUB_A=1', '1'],
  ['GRUB_A=1\nunset GRUB_A', ''],
  ['if [ -e /x ]; then\n  GRUB_B=2\nelse\n  : > /dev/null\nfi\nGRUB_A=1', '1'],
  ['case x in\n  y) GRUB_B=1 ;;\n  *) ;;\nesac\nGRUB_A=1', '1'],
  ['add() { GRUB_A=2; }\nGRUB_A=1', '1'],
  ['GRUB_A=1\r\n', '1\r'],
])('%j evaluates to %j', (text, value) => {
  expect(known(text)).toBe(value);
});

test.each([
  ['GRUB_A=$(cat /x)', 'a command substitution'],
  ['GRUB_A="a `b`"', 'a command substitution'],
  ['if true; then GRUB_A=1; fi', 'set conditionally'],
  ['GRUB_A=0\n[ -e /x ] && GRUB_A=1', 'set conditionally'],
  ['true |\n GRUB_A=1', 'set conditionally'],
  ['( GRUB_A=1 )', 'set conditionally'],
  ['add() { GRUB_A=2; }\nGRUB_A=1\nadd', 'add'],
  ['for GRUB_A in 1 2; do :; done', 'a loop'],
  ['GRUB_A=1\neval "$X"', 'eval'],
  ['GRUB_A=1\nread GRUB_A < /x', 'read'],
  ['GRUB_A=1\nexit 0', 'exit'],
  ['GRUB_A="$HOSTNAME"', '$HOSTNAME is not set'],
  ['GRUB_A="a', 'a double quote is not closed'],
  ["GRUB_A='a", 'a single quote is not closed'],
  ['GRUB_A=a\nGRUB_A+=b', '+='],
  ["GRUB_A=$'a'", 'not every sh'],
  ['GRUB_A=~/x', '~'],
  ['cat <<X\nGRUB_A=1\nX\n', 'here-documents'],
  ['GRUB_A=1\nif true; then\n', 'fi is missing'],
  ['. /missing\nGRUB_A=1', '/missing does not exist'],
])('%j is unknown without running it: %s', (text, why) => {
  expect(read(text).value('GRUB_A').unknown).toContain(why);
});

test('bash: appending, $.. strings and arrays', () => {
  expect(known('GRUB_A=a\nGRUB_A+=" b"', 'GRUB_A', 'bash')).toBe('a b');
  expect(known("GRUB_A=$'a\\tb\\'c'", 'GRUB_A', 'bash')).toBe("a\tb'c");
  const lists = read('M=(a "b c" # no\n  d)\nM+=(e)', 'bash');
  expect(lists.value('M').elements).toEqual(['a', 'b c', 'd', 'e']);
});

test('a sourced file is read; one that sources itself terminates', () => {
  const others = { '/o': 'GRUB_A="$GRUB_A b"\n' };
  const value = read('GRUB_A=a\n. /o\n', 'posix', others).value('GRUB_A');
  expect([valueText(value), value.unknown]).toEqual(['a b', null]);
  expect(read('[ -e /o ] && . /o\n', 'posix', others).value('GRUB_A').unknown).toContain('/o, line 1');
  expect(read('. /f', 'posix', { '/f': '. /f' }).value('GRUB_A').unknown).toContain('source each other');
});

test('values that double each other do not exhaust memory', () => {
  const text = `GRUB_A=${'x'.repeat(100)}\n${'GRUB_A="$GRUB_A$GRUB_A"\n'.repeat(60)}`;
  expect(read(text).value('GRUB_A').unknown).toContain('too long');
  expect(read('GRUB_A=1\n'.repeat(10_000)).value('GRUB_A').unknown).toContain('the file is too long');
  expect(read(`GRUB_A=${'$('.repeat(10_000)}`).value('GRUB_A').unknown).toContain('nested');
});

/** Bits of text that a shell reads differently from what they look like. */
const bits = [
  'quiet',
  'a=b',
  ' ',
  '  ',
  '#',
  '"',
  "'",
  '\\',
  '\\"',
  "\\'",
  '\\\n',
  '\n',
  '$GRUB_A',
  '${GRUB_B}',
  '"$GRUB_C"',
  '${GRUB_A:-x y}',
  '${GRUB_B+z}',
  '$',
  '$$',
  ';',
  '&&',
  '|',
  '$(echo s)',
  '`echo b`',
  "$'q'",
  '~',
  '=',
  '+=',
  '(',
  ')',
  '*',
  'é',
  '\t',
  '# c\n',
  'GRUB_A=',
  'GRUB_B="',
  "GRUB_C='",
  'export ',
  'if true; then ',
  ' fi ',
  '{ ',
  '} ',
  '!',
]; // prettier-ignore
const names = ['GRUB_A', 'GRUB_B', 'GRUB_C'];

function randomFile(random: Random): string {
  let text = '';
  for (let line = random.below(4); line >= 0; line--) {
    const quote = random.pick(['"', '"', "'", '']);
    text += `${random.pick(['', '', 'export '])}${random.pick(names)}=${quote}`;
    for (let count = random.below(6); count > 0; count--) text += random.pick(bits);
    text += `${quote}${random.pick(['\n', '\n', ' # x\n', '; '])}`;
  }
  // Bash replaces itself with the last command of a subshell.
  return `${text}\n:\n`;
}

describe.each<[Dialect, string]>([
  ['posix', 'dash'],
  ['bash', 'bash'],
])('compared with a real shell, %s', (dialect, shell) => {
  const installed = spawnSync(shell, ['-c', ':']).status === 0;

  test.runIf(installed)("known values match the shell's", () => {
    const folder = temporaryFolder();
    const random = new Random(dialect === 'bash' ? 7 : 3);
    const texts = Array.from({ length: 700 }, () => randomFile(random));
    for (const [index, text] of texts.entries()) fs.writeFileSync(path.join(folder, `${index}.sh`), text);
    // Each in a process of its own: a syntax error ends the shell. Its values end with "ok".
    const print = names.map(name => `"$${name}"`).join(' ');
    const script = `for f in $(seq 0 ${texts.length - 1}); do
      (. ./$f.sh > /dev/null; printf '%s\\0' ${print}) > $f.out 2>/dev/null </dev/null && echo ok >> $f.out; done; :`;
    execFileSync(shell, ['-c', script], { cwd: folder, env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' } });
    let compared = 0;
    const different = texts.flatMap((text, index) => {
      const values = names.map(name => read(text, dialect).value(name));
      if (values.some(value => value.unknown !== null)) return [];
      compared++;
      const actual = fs.readFileSync(path.join(folder, `${index}.out`), 'utf8');
      const expected = `${values.map(value => `${valueText(value)}\0`).join('')}ok\n`;
      return actual === expected ? [] : [{ text, actual, expected }];
    });
    expect(different).toEqual([]);
    expect(compared).toBeGreaterThan(150);
  });
});
