import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { rehearse } from '../../../src/vmm/machine/rehearsal.ts';
import { close, socketPair, write } from '../../../src/vmm/native/libc.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';

const openFiles = () => readdirSync('/proc/self/fd').length;

describe.skipIf(noKvm !== null)(onKvm('a rehearsal'), () => {
  test('runs a machine to its end, and leaves nothing open', () => {
    const [manager, machine] = socketPair();
    rehearse(machine);
    const before = openFiles();
    expect(rehearse(machine)).toMatchObject({ crashed: false, exitCode: 0 });
    expect(openFiles()).toBe(before);
    for (const fd of [manager, machine]) close(fd);
  });

  test('ends at once when the manager wants a machine', () => {
    const [manager, machine] = socketPair();
    write(manager, new Uint8Array(1));
    expect(rehearse(machine)).toMatchObject({ crashed: false, reason: 'the rehearsal is over' });
    for (const fd of [manager, machine]) close(fd);
  });
});
