import { describe, expect, test } from 'vitest';
import { rehearse } from '../../../src/vmm/machine/rehearsal.ts';
import { close, socketPair, write } from '../../../src/vmm/native/libc.ts';
import { openFds } from '../../support/fds.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';

describe.skipIf(noKvm !== null)(onKvm('a rehearsal'), () => {
  test('runs a machine to its end, and leaves nothing open', () => {
    const [manager, machine] = socketPair();
    rehearse(machine);
    const before = openFds();
    expect(rehearse(machine)).toMatchObject({ crashed: false, exitCode: 0 });
    expect(openFds()).toBe(before);
    for (const fd of [manager, machine]) close(fd);
  });

  test('ends at once when the manager needs a machine', () => {
    const [manager, machine] = socketPair();
    write(manager, new Uint8Array(1));
    expect(rehearse(machine)).toMatchObject({ crashed: false, reason: 'the rehearsal is over' });
    for (const fd of [manager, machine]) close(fd);
  });
});
