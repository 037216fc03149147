import type { Layer } from '../vmm/confinement/layer.ts';
import { type CounterBlock, VCPU } from '../vmm/counters/counters.ts';
import type { SharedCounters } from '../vmm/counters/shared-counters.ts';
import { EventLimit } from '../vmm/machine/event-limit.ts';
import type {
  CommandName,
  FromMachine,
  MachineCommand,
  MachineCommands,
  MachineEnd,
  MachineEvent,
  RunState,
  SnapshotProgress,
  TakenOver,
} from '../vmm/machine/messages.ts';
import { KEPT_EVENTS } from '../vmm/machine/report.ts';
import type { Topology } from '../vmm/machine/topology.ts';
import { Liveness } from './machines/liveness.ts';
import type { Death, Machine } from './machines/machine.ts';
import type { ThreadTimes } from './sampling/counter-source.ts';
import { ThreadClock } from './sampling/thread-clock.ts';
import { TypedAhead } from './typed-ahead.ts';

/** The log rate of a machine: the burst covers everything it keeps while it has no manager. */
const LOG_RATE = { burst: 2 * KEPT_EVENTS, everyMs: 500 };
const NO_TIMES: ThreadTimes = { guestNs: 0, userNs: 0, systemNs: 0, hostCpu: null, id: null };

export type VmRunListener = {
  /** The machine reported a change. */
  changed(): void;
  entered(state: RunState): void;
  printed(port: number, bytes: Uint8Array): void;
  happened(event: MachineEvent): void;
  /** The progress of the snapshot being written; null once none is. */
  snapshotting(progress: SnapshotProgress | null): void;
  /** The machine does not respond. */
  silent(): void;
  /** It responds again. */
  answers(): void;
  /** The machine is entirely gone. */
  ended(death: Death | null): void;
};

type Reply = {
  readonly command: CommandName;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
};

/** A command whose machine moved to another process before it was answered. */
export class HandedOverError extends Error {
  override readonly name = 'HandedOverError';
}

/** The process that a machine is being handed to. */
export type Successor = {
  readonly machine: Machine;
  readonly counters: SharedCounters;
  /** The machine is in it: the previous process will never resume. */
  readonly isLeft: () => void;
};

/** How long a process may take to end after it has handed its machine over. */
const LEAVES_WITHIN_MS = 2000;
/** Not held back while the machine is being handed over. */
const URGENT: ReadonlySet<CommandName> = new Set<CommandName>(['ping', 'stop', 'hand-over']);

/**
 * One run of a VM: its machine, its last report, and the commands not answered yet. It continues when the machine is
 * handed over to another process.
 */
export class VmRun {
  #machine: Machine;
  readonly #listener: VmRunListener;
  #threads: ThreadClock;
  readonly #replies = new Map<number, Reply>();
  #liveness: Liveness;
  readonly #limit = new EventLimit(LOG_RATE);
  /** By port. */
  readonly #typedAhead = new Map<number, TypedAhead>();
  #nextCommand = 0;
  #shared: SharedCounters | null;
  #counters: CounterBlock | null;
  #topology: Topology | null = null;
  #confinement: readonly Layer[] | null = null;
  #broken: Readonly<Record<string, string>> = {};
  #diskErrors: Readonly<Record<string, string>> = {};
  #ending: MachineEnd | null = null;
  #end: MachineEnd | null = null;
  #state: RunState = 'starting';
  #pausedBy: string | null = null;
  #hasRun = false;
  #isOver = false;
  #successor: (Successor & { readonly takenOver: PromiseWithResolvers<TakenOver> }) | null = null;
  /** What is sent to the machine once it is known which process has it; null unless it is being handed over. */
  #heldBack: (() => void)[] | null = null;
  /** How the previous process died; it may not have handed its machine over by then. */
  #earlierDeath: Death | null = null;
  /** Processes that have handed it over, or failed to take it. */
  readonly #leaving = new Set<Promise<unknown>>();

  /** @param counters null until the machine has answered a manager that did not start it */
  constructor(machine: Machine, counters: SharedCounters | null, listener: VmRunListener) {
    this.#machine = machine;
    this.#listener = listener;
    this.#threads = new ThreadClock(machine.pid);
    this.#shared = counters;
    this.#counters = counters && { words: counters.words, layout: counters.layout };
    this.#liveness = this.#watch(machine);
    void machine.gone.then(death => this.#gone(machine, death));
  }

  get machine(): Machine {
    return this.#machine;
  }

  /** Starts calling the listener, first with earlier messages. */
  listen(): void {
    const machine = this.#machine;
    machine.connection?.listen({
      message: message => {
        if (this.#machine === machine) this.#receive(message);
      },
      printed: (port, bytes) => {
        if (this.#machine === machine) this.#listener.printed(port, bytes);
      },
    });
  }

  get topology(): Topology | null {
    return this.#topology;
  }

  get confinement(): readonly Layer[] | null {
    return this.#confinement;
  }

  /** Devices that stopped serving their driver, each with the reason. */
  get broken(): Readonly<Record<string, string>> {
    return this.#broken;
  }

  /** The last request that failed on the host's disk, by device; empty once the machine is gone. */
  get diskErrors(): Readonly<Record<string, string>> {
    return this.#isOver ? {} : this.#diskErrors;
  }

  /** Why it is paused, if not by request; null otherwise. */
  get pausedBy(): string | null {
    return this.#pausedBy;
  }

  /** The last state it reported. */
  get state(): RunState {
    return this.#state;
  }

  /** Whether its guest has begun to run. */
  get hasRun(): boolean {
    return this.#hasRun;
  }

  /** The machine's report of how it ended; null if it made none. */
  get end(): MachineEnd | null {
    return this.#end;
  }

  /** How it ends, once it has stopped and is being torn down; null before that. */
  get ending(): MachineEnd | null {
    return this.#ending;
  }

  /** In place while it runs, a copy of the last values afterwards. */
  get counters(): CounterBlock | null {
    return this.#counters;
  }

  /** By vCPU. */
  get threadTimes(): ThreadTimes[] {
    if (this.#counters === null) return [];
    const { words, layout } = this.#counters;
    return Array.from({ length: layout.shape.vcpus }, (_, index) =>
      this.#isOver ? NO_TIMES : this.#threads.times(Number(words[layout.vcpu(index) + VCPU.tid])),
    );
  }

  /** Has the machine run a command. @throws when it refuses, or ends before it has answered */
  async command<Name extends CommandName>(
    command: Name,
    args: MachineCommands[Name]['arguments'],
  ): Promise<MachineCommands[Name]['result']> {
    const reply = Promise.withResolvers<unknown>();
    const send = () => {
      if (this.#isOver) {
        reply.reject(new Error('its machine has ended'));
        return;
      }
      const id = this.#nextCommand++;
      this.#replies.set(id, { command, ...reply });
      const message = { command, arguments: args } as MachineCommand;
      this.machine.connection?.send({ kind: 'command', id, ...message });
    };
    if (URGENT.has(command)) send();
    else this.#whenItHasOneProcess(send);
    // The machine may be of another version or compromised: no caller relies on fields that it may have left out.
    return (await reply.promise) as MachineCommands[Name]['result'];
  }

  /** The same with fds, which the caller may close once this is settled, or `sent` is called. */
  async commandWithFds<Name extends CommandName>(
    command: Name,
    args: MachineCommands[Name]['arguments'],
    fds: readonly number[],
    sent: () => void = () => {},
  ): Promise<MachineCommands[Name]['result']> {
    if (this.#heldBack !== null && !URGENT.has(command)) await this.#whenSettled();
    const { connection } = this.machine;
    if (connection === null) throw new Error('its machine accepts no more commands');
    const id = this.#nextCommand++;
    const reply = Promise.withResolvers<unknown>();
    this.#replies.set(id, { command, ...reply });
    const message = { command, arguments: args } as MachineCommand;
    try {
      await connection.sendWithFds({ kind: 'command', id, ...message }, fds);
      sent();
    } catch (error) {
      this.#replies.delete(id);
      throw error;
    }
    return (await reply.promise) as MachineCommands[Name]['result'];
  }

  /**
   * Has its machine hand itself to another process. Input and commands in the meantime go to the process that has it
   * then.
   * @param socket connected to that process
   * @param sent the caller may now close the socket, so that it ends with either process. Not called if it could not be
   * sent
   * @returns how it was handed over, once it runs there
   * @throws why it stays in its process; or that neither process has it any more
   */
  async handOver(successor: Successor, socket: number, sent: () => void): Promise<TakenOver> {
    const takenOver = Promise.withResolvers<TakenOver>();
    // The caller may no longer be waiting.
    takenOver.promise.catch(() => {});
    this.#heldBack = [];
    this.#successor = { ...successor, takenOver };
    try {
      // A machine that was handed over sends no reply.
      const refused = this.commandWithFds('hand-over', {}, [socket], sent);
      return await Promise.race([takenOver.promise, refused.then(() => takenOver.promise)]);
    } catch (error) {
      this.#keep(successor);
      throw error;
    }
  }

  /** Ends its machine, and the process that it is being handed to, whatever they are doing. */
  destroy(): void {
    this.#successor?.machine.destroy();
    this.#machine.destroy();
  }

  /** It does not respond: pending commands fail, except for the pings that show when it responds again. */
  giveUp(reason: string): void {
    for (const [id, reply] of this.#replies) {
      // Only the two processes know whether it is handed over.
      if (reply.command === 'ping' || reply.command === 'hand-over') continue;
      this.#replies.delete(id);
      reply.reject(new Error(`it does not respond: ${reason}`));
    }
  }

  /** Limits what a machine causes to be logged: a compromised one must not fill the log. */
  limited(event: MachineEvent): MachineEvent[] {
    return this.#limit.admit(event);
  }

  /** Types into a console. Input beyond a limit is dropped if the guest does not read. */
  type(port: number, bytes: Uint8Array): void {
    const ahead = this.#ahead(port);
    const taken = bytes.subarray(0, ahead.capacity);
    if (this.#isOver || taken.length === 0) return;
    ahead.typed(taken.length);
    this.#whenItHasOneProcess(() => this.machine.connection?.type(port, taken));
  }

  /** Resolves when the guest has read enough of the typed bytes to accept more. */
  room(port: number): Promise<void> {
    return this.#ahead(port).room();
  }

  #ahead(port: number): TypedAhead {
    let ahead = this.#typedAhead.get(port);
    if (ahead === undefined) {
      ahead = new TypedAhead();
      this.#typedAhead.set(port, ahead);
    }
    return ahead;
  }

  /** Has the machine keep an entry of this manager's log, for the next manager. */
  remember(event: MachineEvent): void {
    this.#whenItHasOneProcess(() => this.machine.connection?.send({ kind: 'note', event }));
  }

  #whenItHasOneProcess(action: () => void): void {
    if (this.#heldBack === null) action();
    else this.#heldBack.push(action);
  }

  async #whenSettled(): Promise<void> {
    while (this.#heldBack !== null) await new Promise<void>(resolve => this.#heldBack!.push(resolve));
    if (this.#isOver) throw new Error('its machine has ended');
  }

  #letThrough(): void {
    const heldBack = this.#heldBack ?? [];
    this.#heldBack = null;
    for (const action of heldBack) action();
  }

  #watch(machine: Machine): Liveness {
    const listener = this.#listener;
    return new Liveness({
      ask: () => (machine.connection === null ? null : this.command('ping', {})),
      isHeld: () => machine.isHeld(),
      isBuilding: () => this.#state === 'starting',
      silent: () => listener.silent(),
      answers: () => listener.answers(),
    });
  }

  /** The process that was to take the machine failed. */
  #keep(successor: Successor): void {
    if (this.#successor?.machine !== successor.machine) return;
    this.#successor = null;
    this.#leaves(successor.machine);
    successor.machine.destroy();
    successor.counters.unmap();
    this.#letThrough();
  }

  /** The successor has the machine, or it is lost. */
  #succeed({ machine, counters, isLeft }: Successor): void {
    const before = this.#machine;
    this.#leaves(before);
    this.#liveness.stop();
    this.#machine = machine;
    this.#threads = new ThreadClock(machine.pid);
    this.#liveness = this.#watch(machine);
    this.#shared?.unmap();
    this.#shared = counters;
    this.#counters = { words: counters.words, layout: counters.layout };
    isLeft();
    before.connection?.close();
    for (const [id, { command }] of this.#replies) if (command === 'hand-over') this.#replies.delete(id);
    this.#rejectReplies(new HandedOverError('it was handed to another process before it answered'));
    void machine.gone.then(death => this.#gone(machine, this.#earlierDeath ?? death));
    this.listen();
    this.#letThrough();
    this.#listener.changed();
  }

  /** Waits for a process that no longer has the machine, or never had it. */
  #leaves(machine: Machine): void {
    const late = setTimeout(() => machine.destroy(), LEAVES_WITHIN_MS).unref();
    const gone = machine.gone.then(() => {
      clearTimeout(late);
      this.#leaving.delete(gone);
    });
    this.#leaving.add(gone);
  }

  #gone(machine: Machine, death: Death | null): void {
    if (machine !== this.#machine) return;
    const successor = this.#successor;
    if (successor === null) {
      this.#over(death);
    } else if (successor.machine === machine) {
      // It ended before it reported that it runs there.
      successor.takenOver.reject(
        new Error(death?.reason ?? 'the process that should have taken it over has ended'),
      );
      this.#successor = null;
      this.#over(death);
    } else if (this.#end === null) {
      // It may have handed its machine over before it died: then the other process runs it, else that one ends.
      this.#earlierDeath = death;
      this.#succeed(successor);
    } else {
      successor.takenOver.reject(new Error(this.#end.reason));
      this.#keep(successor);
      this.#over(death);
    }
  }

  /** The files and locks of the VM are free once all of its processes are gone. */
  #over(death: Death | null): void {
    this.#close(death);
    if (this.#leaving.size === 0) this.#listener.ended(death);
    else void Promise.all(this.#leaving).then(() => this.#listener.ended(death));
  }

  #receive(message: FromMachine): void {
    switch (message.kind) {
      case 'created':
        this.machine.created?.(message.vm);
        break;
      case 'topology':
        this.#topology = message.topology;
        this.#listener.changed();
        break;
      case 'confinement':
        this.#confinement = message.layers;
        this.#listener.changed();
        break;
      case 'state':
        this.#hasRun = true;
        this.#state = message.state;
        this.#pausedBy = message.reason ?? null;
        this.#listener.entered(message.state);
        break;
      case 'broken':
        this.#broken = message.broken;
        this.#listener.changed();
        break;
      case 'disk-errors':
        this.#diskErrors = message.diskErrors;
        this.#listener.changed();
        break;
      case 'snapshot':
        this.#listener.snapshotting(message.progress);
        break;
      case 'event':
        for (const event of this.limited(message.event)) this.#listener.happened(event);
        break;
      case 'input-taken':
        this.#typedAhead.get(message.port)?.taken(message.bytes);
        break;
      case 'reply': {
        const reply = this.#replies.get(message.id);
        this.#replies.delete(message.id);
        if (message.error === null) reply?.resolve(message.result);
        else reply?.reject(new Error(message.error));
        break;
      }
      case 'handed-over':
        if (this.#successor !== null) this.#succeed(this.#successor);
        break;
      case 'taken-over':
        this.#earlierDeath = null;
        this.#successor?.takenOver.resolve({ from: message.from, stoodStillMs: message.stoodStillMs });
        this.#successor = null;
        break;
      case 'ending':
        this.#ending = message.end;
        break;
      case 'ended':
        this.#end = message.end;
        this.machine.connection?.send({ kind: 'collected' });
        break;
      case 'hello':
        break;
    }
  }

  #close(death: Death | null): void {
    this.#isOver = true;
    this.#liveness.stop();
    this.machine.connection?.close();
    for (const ahead of this.#typedAhead.values()) ahead.clear();
    const { reason } = this.#end ?? death ?? { reason: 'its machine has ended' };
    this.#rejectReplies(new Error(reason));
    this.#letThrough();
    if (this.#shared === null || this.#counters === null) return;
    // Screens keep showing the last values after the machine's memory is gone.
    this.#counters = { words: this.#shared.words.slice(), layout: this.#counters.layout };
    this.#shared.unmap();
    this.#shared = null;
  }

  #rejectReplies(error: Error): void {
    for (const reply of this.#replies.values()) reply.reject(error);
    this.#replies.clear();
  }
}
