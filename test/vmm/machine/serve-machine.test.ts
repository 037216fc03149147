import { closeSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createCounters } from '../../../src/vmm/counters/shared-counters.ts';
import { type MachineConfigInput, parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import { FrameReader, messageFrame, messageOf, portFrame } from '../../../src/vmm/machine/frames.ts';
import type { FromMachine, ToMachine } from '../../../src/vmm/machine/messages.ts';
import { serveMachine } from '../../../src/vmm/machine/serve-machine.ts';
import { socketPair } from '../../../src/vmm/native/libc.ts';
import { receiveNow, sendNow } from '../../../src/vmm/native/unix-socket.ts';
import { isOpen, openFds } from '../../support/fds.ts';

const MISSING = { name: 'web', boot: { kind: 'kernel', path: '/nowhere/vmlinux' } } as const;

function build(change: Partial<MachineConfigInput> = {}): ToMachine {
  const config = parseMachineConfig({ ...MISSING, ...change });
  return { kind: 'build', config, token: 'secret', layers: [], user: null };
}

const COMMAND: ToMachine = { kind: 'command', id: 7, command: 'pause', arguments: {} };

/** Messages are sent before the machine is served, because it blocks its thread. @returns its replies */
function served(messages: readonly ToMachine[], { counters = true, hangUp = false, typed = false } = {}) {
  const before = openFds();
  const [manager, machine] = socketPair();
  onTestFinished(() => {
    for (const fd of [manager, machine]) if (isOpen(fd)) closeSync(fd);
  });
  const made = createCounters({ vcpus: 1, queues: 4, regions: 64 });
  for (const message of messages) {
    if (typed) sendNow(manager, portFrame(0, Buffer.from('x')));
    sendNow(manager, messageFrame(message), message.kind === 'build' && counters ? [made.fd] : []);
  }
  made.unmap();
  made.closeFd();
  let said: FromMachine[] = [];
  const listen = () => {
    const reader = new FrameReader();
    for (let got = receiveNow(manager); got.kind === 'data'; got = receiveNow(manager))
      said = [...said, ...reader.push(got.bytes).map(frame => messageOf(frame) as FromMachine)];
  };
  if (hangUp) closeSync(manager);
  try {
    serveMachine(machine);
    if (!hangUp) listen();
  } finally {
    if (!hangUp) closeSync(manager);
  }
  // Its own, and all that came along.
  expect(openFds()).toBe(before);
  return said;
}

describe('a machine that is served', () => {
  test('reports why it could not be built, and stays until its manager knows', () => {
    const said = served([build(), COMMAND, { kind: 'collected' }], { typed: true });
    expect(said).toEqual([
      {
        kind: 'ended',
        end: {
          crashed: false,
          reason: expect.stringMatching(/^cannot open the kernel \/nowhere\/vmlinux/),
          detail: null,
          exitCode: null,
        },
      },
      { kind: 'reply', id: 7, error: 'it has ended', result: null },
    ]);
  });

  test('waits for its configuration, whatever else arrives', () => {
    const said = served([COMMAND, { kind: 'collected' }, build(), { kind: 'collected' }]);
    expect(said.map(({ kind }) => kind)).toEqual(['ended']);
  });

  test('does not start without a manager, or when the manager is gone', () => {
    expect(served([], { hangUp: true })).toEqual([]);
    expect(served([build()], { hangUp: true })).toEqual([]);
  });

  test('cannot be confined strictly in the process of its manager', () => {
    const [ended] = served([build({ confine: 'strict' }), { kind: 'collected' }]);
    expect(ended).toMatchObject({
      kind: 'ended',
      end: { reason: expect.stringMatching(/^strict confinement needs a process of its own/) },
    });
  });

  test('needs counters', () => {
    expect(() => served([build()], { counters: false })).toThrow(
      'no counters were passed with the configuration',
    );
  });
});
