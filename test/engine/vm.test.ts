import { describe, expect, onTestFinished, test } from 'vitest';
import { type Death, type Machine, type Machines, unregistered } from '../../src/engine/machines/machine.ts';
import { MachineConnection } from '../../src/engine/machines/machine-connection.ts';
import { Vm } from '../../src/engine/vm.ts';
import { parseMachineConfig } from '../../src/vmm/machine/config.ts';
import { messageFrame } from '../../src/vmm/machine/frames.ts';
import type { FromMachine, MachineEnd } from '../../src/vmm/machine/messages.ts';
import { close, socketPair } from '../../src/vmm/native/libc.ts';
import { receiveNow, sendNow, waitForFds } from '../../src/vmm/native/unix-socket.ts';

const config = parseMachineConfig({ name: 'web', boot: { kind: 'kernel', path: 'kernel' } });
const KILLED = { reason: 'its process was ended by SIGKILL', detail: null };

/** A VM whose machine runs, never ends on its own, and is gone once it is destroyed. */
async function running({ isHeld }: { isHeld: boolean }) {
  const [ours, theirs] = socketPair();
  const gone = Promise.withResolvers<Death | null>();
  const machine: Machine = {
    connection: new MachineConnection(ours),
    pid: process.pid,
    version: '1.0.0',
    gone: gone.promise,
    destroy: () => gone.resolve(KILLED),
    isHeld: () => isHeld,
    whyStuck: () => 'it waits',
  };
  onTestFinished(() => close(theirs));
  const machines = { launch: () => machine } as unknown as Machines;
  const vm = new Vm('web', { changed: () => {}, happened: () => {} });
  const say = (message: FromMachine) => sendNow(theirs, messageFrame(message));
  const started = vm.start(config, machines, () => unregistered());
  say({ kind: 'state', state: 'running' });
  await started;
  return { vm, say, gone, asked: () => waitForFds([{ fd: theirs }], 0).length > 0 && receiveNow(theirs) };
}

describe('a machine that is killed', () => {
  test.each([true, false])('and does not respond is terminated (blocked: %s)', async isHeld => {
    const { vm, asked } = await running({ isHeld });
    await vm.kill();
    expect(asked()).toMatchObject({ kind: 'data' });
    expect(vm.info).toMatchObject({
      state: 'off',
      reason: 'it was ended by force, because its machine did not respond',
    });
  });

  test('while it is shutting down ends with the reason it reported', async () => {
    const { vm, say } = await running({ isHeld: true });
    const end: MachineEnd = { crashed: false, reason: 'the guest powered off', detail: null, exitCode: null };
    say({ kind: 'ending', end });
    await vm.kill();
    expect(vm.info).toMatchObject({ state: 'off', reason: 'the guest powered off' });
  });

  test('by the host has crashed', async () => {
    const { vm, gone } = await running({ isHeld: false });
    gone.resolve(KILLED);
    await expect.poll(() => vm.info).toMatchObject({ state: 'crashed', reason: KILLED.reason });
  });
});
