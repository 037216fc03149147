import { expect, test } from 'vitest';
import { buildProgram } from '../../src/commands/program.ts';
import { withQemuOptionsLast } from '../../src/commands/qemu-words.ts';

const program = buildProgram();
const sorted = (line: string) => withQemuOptionsLast(program, line.split(' ')).join(' ');

test.each([
  ['run -m 1024 -smp 2 -kernel K', 'run -- -m 1024 -smp 2 -kernel K'],
  ['run -m 1024 --name web --detach -kernel K', 'run --name web --detach -- -m 1024 -kernel K'],
  ['run --name=web disk.img -m 64', 'run --name=web -- disk.img -m 64'],
  ['run --name -m -kernel K', 'run --name -m -- -kernel K'],
  ['run -kernel K --ui', 'run --ui -- -kernel K'],
  ['run qemu-system-x86_64 --kernel K --no-reboot', 'run -- qemu-system-x86_64 --kernel K --no-reboot'],
  ['run --ui -- -m 64', 'run --ui -- -m 64'],
  ['vm create web -m 64 --dry-run -kernel K', 'vm create --dry-run -- web -m 64 -kernel K'],
])("QEMU's options are moved to the end: %s", (line, expected) => {
  expect(sorted(line)).toBe(expected);
});

test.each([
  'run vmlinuz --append -v --disk a.img',
  'run vmlinuz --cpu-features -cx16',
  'run --help',
  'run -h',
  'run vmlinuz --no-such-option',
  'vm create web -- -m 64',
  'pci show -m',
  '-V',
])('everything else stays unchanged: %s', line => {
  expect(sorted(line)).toBe(line);
});
