import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { handOver } from '../../../src/engine/machines/hand-over.ts';
import type { Death, Launch, Machine, Machines, Succession } from '../../../src/engine/machines/machine.ts';
import { MachineConnection } from '../../../src/engine/machines/machine-connection.ts';
import { VmRun } from '../../../src/engine/vm-run.ts';
import { parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import {
  FRAME,
  FrameReader,
  messageFrame,
  messageOf,
  portFrame,
  portOf,
} from '../../../src/vmm/machine/frames.ts';
import type { FromMachine, ToMachine } from '../../../src/vmm/machine/messages.ts';
import { close, socketPair } from '../../../src/vmm/native/libc.ts';
import { receiveNow, sendNow, waitForFds } from '../../../src/vmm/native/unix-socket.ts';
import { openFds } from '../../support/fds.ts';
import { until } from '../../support/until.ts';

const config = parseMachineConfig({ name: 'web', boot: { kind: 'kernel', path: '/boot/vmlinux' } });
const start = { config, startedAt: 1000 };
const KILLED = (pid: number): Death => ({ reason: `its process ${pid} was ended by SIGKILL`, detail: null });
const TAKEN: FromMachine = { kind: 'taken-over', from: '1.0.0', stoodStillMs: 12 };

/** A machine's process, played by the test. */
class PlayedProcess {
  readonly machine: Machine;
  readonly received: (ToMachine | string)[] = [];
  readonly fds: number[] = [];
  readonly #theirs: number;
  readonly #gone = Promise.withResolvers<Death | null>();
  readonly #reader = new FrameReader();
  alive = true;

  constructor(pid: number) {
    const [ours, theirs] = socketPair();
    this.#theirs = theirs;
    const connection = new MachineConnection(ours);
    this.machine = {
      pid,
      version: `of ${pid}`,
      connection,
      gone: Promise.all([connection.closed, this.#gone.promise]).then(([, death]) => death),
      destroy: () => this.end(KILLED(pid)),
      isHeld: () => false,
      whyStuck: () => 'it waits',
    };
  }

  /** As if its process ended. */
  end(death: Death | null = null): void {
    if (!this.alive) return;
    this.alive = false;
    for (const fd of [this.#theirs, ...this.fds.splice(0)]) close(fd);
    this.#gone.resolve(death);
  }

  say(message: FromMachine): void {
    sendNow(this.#theirs, messageFrame(message));
  }

  print(text: string): void {
    sendNow(this.#theirs, portFrame(0, Buffer.from(text)));
  }

  /** The messages that were sent to it. */
  listen(): this {
    while (this.alive) {
      const received = receiveNow(this.#theirs);
      if (received.kind !== 'data') break;
      this.fds.push(...received.fds);
      for (const frame of this.#reader.push(received.bytes))
        this.received.push(
          frame.kind === FRAME.message
            ? (messageOf(frame) as ToMachine)
            : `types ${Buffer.from(portOf(frame).bytes)}`,
        );
    }
    return this;
  }

  /** The number of the hand-over command, once it has arrived with its socket. */
  async asked(): Promise<number> {
    const command = await until(() =>
      this.listen().received.find(message => typeof message === 'object' && message.kind === 'command'),
    );
    expect(command).toMatchObject({ command: 'hand-over' });
    expect(this.fds).toHaveLength(1);
    return (command as { id: number }).id;
  }
}

let fds: number;
let old: PlayedProcess;
let next: PlayedProcess;
let run: VmRun;
let launched: Launch[];
/** What happened to the place. */
let place: string[];
let ended: (Death | null)[];
let printed: string;
let launchFails: Error | null;

const machines = {
  launch: (launch: Launch) => {
    if (launchFails !== null) throw launchFails;
    launched.push(launch);
    return next.machine;
  },
} as unknown as Machines;

const succession: Succession = {
  registration: { token: '', uid: null, listener: 0, started: () => {} },
  handedOver: () => place.push('given'),
  settle: taken => place.push(taken ? 'the new one’s' : 'the old one’s'),
};

const upgrade = () => handOver(run, start, machines, succession);

beforeEach(() => {
  fds = openFds();
  old = new PlayedProcess(1);
  next = new PlayedProcess(2);
  launched = [];
  place = [];
  ended = [];
  printed = '';
  launchFails = null;
  run = new VmRun(old.machine, null, {
    changed: () => {},
    entered: () => {},
    printed: (_port, bytes) => {
      printed += Buffer.from(bytes);
    },
    happened: () => {},
    snapshotting: () => {},
    silent: () => {},
    answers: () => {},
    ended: death => ended.push(death),
  });
  run.listen();
});
afterEach(async () => {
  for (const process of [old, next]) process.end();
  await until(() => ended.length === 1);
  // No fd, and no socket end whose other end waits for it.
  await until(() => openFds() <= fds);
});

describe('a machine that is handed to another process', () => {
  test('continues there: output stays in order, and input and requests from the meantime reach it', async () => {
    const upgraded = upgrade();
    await old.asked();
    run.type(0, Buffer.from('typed'));
    const paused = run.command('pause', {});
    run.remember({ at: 1, level: 'info', text: 'noted' });
    const ping = run.command('ping', {});
    await until(() => old.listen().received.length === 2);
    const pinged = old.received[1] as { id: number };
    expect(pinged).toMatchObject({ command: 'ping' });
    old.say({ kind: 'reply', id: pinged.id, error: null, result: null });
    await ping;
    // The new one is faster.
    next.say(TAKEN);
    next.print('three');
    old.print('one ');
    old.print('two ');
    old.say({ kind: 'handed-over' });
    expect(await upgraded).toEqual({ from: '1.0.0', stoodStillMs: 12 });
    await until(() => printed === 'one two three');
    expect(place).toEqual(['given', 'the new one’s']);
    expect([run.machine.pid, run.machine.version]).toEqual([2, 'of 2']);
    expect(run.counters).not.toBeNull();
    await until(() => next.listen().received.length === 3);
    expect(next.received).toMatchObject(['types typed', { command: 'pause' }, { kind: 'note' }]);
    expect(old.listen().received).toHaveLength(2);
    const [, pause] = next.received as { id: number }[];
    next.say({ kind: 'reply', id: pause!.id, error: null, result: null });
    await paused;
    // What the old one does no longer matters.
    old.end(KILLED(1));
    await old.machine.gone;
    expect(ended).toEqual([]);
    next.end(KILLED(2));
    await until(() => ended.length === 1);
    expect(ended).toEqual([KILLED(2)]);
  });

  test('ends once both processes are gone: the old one may still have its files open', async () => {
    const upgraded = upgrade();
    await old.asked();
    next.say(TAKEN);
    old.say({ kind: 'handed-over' });
    await upgraded;
    next.end();
    await next.machine.gone;
    await new Promise(setImmediate);
    expect(ended).toEqual([]);
    old.end();
    await until(() => ended.length === 1);
  });

  test('can be handed over again', async () => {
    const first = upgrade();
    await old.asked();
    next.say(TAKEN);
    old.say({ kind: 'handed-over' });
    await first;
    old.end();
    [old, next] = [next, new PlayedProcess(3)];
    const second = upgrade();
    await old.asked();
    next.say({ ...TAKEN, stoodStillMs: 7 });
    old.say({ kind: 'handed-over' });
    expect(await second).toMatchObject({ stoodStillMs: 7 });
    expect(run.machine.pid).toBe(3);
  });
});

describe('a machine whose hand-over fails continues', () => {
  afterEach(() => {
    expect(run.machine.pid).toBe(1);
    expect(ended).toEqual([]);
    expect(place.at(-1)).toBe('the old one’s');
  });

  test('when no other process can be started', async () => {
    launchFails = new Error('no room');
    await expect(upgrade()).rejects.toThrow('no room');
    expect(place).toEqual(['the old one’s']);
  });

  test('when it refuses, and receives the messages that were held back; the other process is killed', async () => {
    const upgraded = upgrade();
    const id = await old.asked();
    run.type(0, Buffer.from('typed'));
    old.say({ kind: 'reply', id, error: 'the disk does not stop', result: null });
    await expect(upgraded).rejects.toThrow('the disk does not stop');
    expect(next.alive).toBe(false);
    await until(() => old.listen().received.length === 2);
    expect(old.received[1]).toBe('types typed');
  });

  test('when the other process dies: the old one reports it', async () => {
    const upgraded = upgrade();
    const id = await old.asked();
    next.end(KILLED(2));
    await next.machine.gone;
    expect(place).toEqual(['given']);
    old.say({ kind: 'reply', id, error: 'the other process has ended', result: null });
    await expect(upgraded).rejects.toThrow('the other process has ended');
  });

  test('when it is stuck in the meantime, as soon as it reports so; until then the other process, which may have the machine, is not killed', async () => {
    const upgraded = upgrade();
    const id = await old.asked();
    run.giveUp('it was stopped');
    await new Promise(setImmediate);
    expect([next.alive, place]).toEqual([true, ['given']]);
    old.say({ kind: 'reply', id, error: 'it took too long', result: null });
    await expect(upgraded).rejects.toThrow('it took too long');
  });
});

describe('a process that ends during a hand-over', () => {
  test('when the old one dies after handing the machine over, the new one continues', async () => {
    const upgraded = upgrade();
    await old.asked();
    old.end(KILLED(1));
    await until(() => run.machine.pid === 2);
    next.say(TAKEN);
    expect(await upgraded).toEqual({ from: '1.0.0', stoodStillMs: 12 });
    expect(ended).toEqual([]);
    expect(place).toEqual(['given', 'the new one’s']);
  });

  test('when the old one dies before that, the VM ends for the same reason', async () => {
    const upgraded = upgrade();
    await old.asked();
    old.end(KILLED(1));
    await until(() => run.machine.pid === 2);
    // As it does when the other end of its socket is closed.
    next.end(null);
    await expect(upgraded).rejects.toThrow('its process 1 was ended by SIGKILL');
    await until(() => ended.length === 1);
    expect(ended).toEqual([KILLED(1)]);
  });

  test('when the new one dies with the machine, the VM ends', async () => {
    const upgraded = upgrade();
    await old.asked();
    old.say({ kind: 'handed-over' });
    await until(() => run.machine.pid === 2);
    next.end(KILLED(2));
    await expect(upgraded).rejects.toThrow('its process 2 was ended by SIGKILL');
    old.end();
    await until(() => ended.length === 1);
    expect(ended).toEqual([KILLED(2)]);
  });

  test('when the guest powers off, the VM is off, and the other process is killed', async () => {
    const upgraded = upgrade();
    await old.asked();
    const end = { crashed: false, reason: 'the guest powered off', detail: null, exitCode: null };
    old.say({ kind: 'ended', end });
    await until(() => run.end !== null);
    old.end();
    await expect(upgraded).rejects.toThrow('the guest powered off');
    await until(() => ended.length === 1);
    expect(next.alive).toBe(false);
    expect(place).toEqual(['given', 'the old one’s']);
  });

  test('when the VM is killed, both processes are killed', async () => {
    const upgraded = upgrade();
    await old.asked();
    run.destroy();
    expect([old.alive, next.alive]).toEqual([false, false]);
    await expect(upgraded).rejects.toThrow('was ended by SIGKILL');
    await until(() => ended.length === 1);
  });
});

test('the socket of a hand-over is open in no other process than these two', async () => {
  const upgraded = upgrade();
  const id = await old.asked();
  expect(launched[0]).toMatchObject({ ...start, takeOver: expect.any(Number) });
  const [socket] = old.fds;
  await until(() => waitForFds([{ fd: socket! }], 0).length > 0);
  // The new process would have a duplicate of the other end; this one's are closed.
  expect(receiveNow(socket!)).toEqual({ kind: 'closed' });
  old.say({ kind: 'reply', id, error: 'no', result: null });
  await expect(upgraded).rejects.toThrow('no');
});
