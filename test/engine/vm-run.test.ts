import { describe, expect, onTestFinished, test } from 'vitest';
import type { Death, Machine } from '../../src/engine/machines/machine.ts';
import { MachineConnection } from '../../src/engine/machines/machine-connection.ts';
import { VmRun } from '../../src/engine/vm-run.ts';
import { FrameReader, messageFrame, messageOf } from '../../src/vmm/machine/frames.ts';
import type { FromMachine, MachineEvent } from '../../src/vmm/machine/messages.ts';
import { close, socketPair } from '../../src/vmm/native/libc.ts';
import { receiveNow, sendNow } from '../../src/vmm/native/unix-socket.ts';
import { until } from '../support/until.ts';

/** A run of a machine played by the test. */
function played() {
  const [ours, theirs] = socketPair();
  const gone = Promise.withResolvers<Death | null>();
  const machine: Machine = {
    connection: new MachineConnection(ours),
    pid: process.pid,
    version: '1.0.0',
    gone: gone.promise,
    destroy: () => {},
    isHeld: () => false,
    whyStuck: () => 'it waits',
  };
  const events: MachineEvent[] = [];
  const states: string[] = [];
  let changes = 0;
  const run = new VmRun(machine, null, {
    changed: () => changes++,
    entered: state => states.push(state),
    printed: () => {},
    happened: event => events.push(event),
    snapshotting: () => {},
    silent: () => {},
    answers: () => {},
    ended: () => {},
  });
  run.listen();
  onTestFinished(async () => {
    gone.resolve(null);
    await machine.gone;
    close(theirs);
  });
  const reader = new FrameReader();
  return {
    run,
    gone,
    events,
    states,
    changes: () => changes,
    say: async (message: FromMachine) => {
      const frame = messageFrame(message);
      for (let sent = 0; sent < frame.length; ) {
        const now = sendNow(theirs, frame.subarray(sent))!;
        if (now === 0) await new Promise(setImmediate);
        sent += now;
      }
    },
    received: () => {
      const got = receiveNow(theirs);
      return got.kind === 'data' ? reader.push(got.bytes).map(messageOf) : [];
    },
  };
}

describe('a run', () => {
  test('of a subverted machine does not flood the log', async () => {
    const { say, events, run, states } = played();
    const at = Date.now();
    for (let index = 0; index < 20_000; index++)
      await say({ kind: 'event', event: { at, level: 'error', text: `${index}` } });
    await say({ kind: 'state', state: 'running' });
    await until(() => states.length === 1);
    expect(events.length).toBeGreaterThanOrEqual(400);
    expect(events.length).toBeLessThan(500);
    for (let index = 0; index < 1000; index++) run.limited({ at, level: 'info', text: 'resumed' });
    await until(() => run.limited({ at, level: 'info', text: 'x' }).length > 0);
    expect(events.slice(0, 400).map(({ text }) => text)).toEqual(
      Array.from({ length: 400 }, (_, i) => `${i}`),
    );
  });

  test('accepts replies to its own requests, once, and no others', async () => {
    const { say, run, received } = played();
    const paused = run.command('pause', {});
    const pressed = run.command('power-button', {});
    await until(() => received().length > 0);
    for (const id of [7, 1e9]) await say({ kind: 'reply', id, error: 'nobody asked', result: null });
    await say({ kind: 'reply', id: 0, error: 'it does not want to', result: null });
    await expect(paused).rejects.toThrow('it does not want to');
    await say({ kind: 'reply', id: 0, error: null, result: null });
    await say({ kind: 'reply', id: 1, error: null, result: { noticed: false } });
    expect(await pressed).toEqual({ noticed: false });
  });

  test('rejects pending requests to a machine that does not respond, or is gone', async () => {
    const { run, gone } = played();
    const paused = run.command('pause', {});
    run.giveUp('it was stopped');
    await expect(paused).rejects.toThrow('it does not respond: it was stopped');
    const reset = run.command('reset', {});
    gone.resolve({ reason: 'its process died', detail: null });
    await expect(reset).rejects.toThrow('its process died');
  });
});
