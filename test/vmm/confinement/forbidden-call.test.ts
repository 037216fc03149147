import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { readForbiddenCall, syscallName } from '../../../src/vmm/confinement/forbidden-call.ts';
import { SYSCALL_NAMES } from '../../../src/vmm/confinement/syscall-names.ts';

const report = (...words: number[]) => new Uint8Array(new Uint32Array(words).buffer);

it('parses a report, and nothing else', () => {
  expect(readForbiddenCall(report(0x7663_6e66, 59, 7, 0))).toEqual({ number: 59, name: 'execve', thread: 7 });
  expect(readForbiddenCall(report(0x7663_6e66, 999, 1, 0))?.name).toBe('system call 999');
  expect(readForbiddenCall(report(1, 59, 7, 0))).toBeNull();
  expect(readForbiddenCall(new Uint8Array(15))).toBeNull();
});

it('system call names match the header', () => {
  const header = readFileSync('/usr/include/x86_64-linux-gnu/asm/unistd_64.h', 'utf8');
  const defined = Array.from(header.matchAll(/^#define __NR_(\w+) (\d+)$/gm), ([, name, number]) => [
    Number(number),
    name,
  ]);
  expect(defined.length).toBeGreaterThan(350);
  expect(defined.map(([number]) => [number, syscallName(number as number)])).toEqual(defined);
  expect(SYSCALL_NAMES.get(462)).toBe('mseal');
});
