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
  MachineState,
} from '../vmm/machine/messages.ts';
import { KEPT_EVENTS } from '../vmm/machine/report.ts';
import type { Topology } from '../vmm/machine/topology.ts';
import { Liveness } from './machines/liveness.ts';
import type { Death, Machine } from './machines/machine.ts';
import type { ThreadTimes } from './sampling/counter-source.ts';
import { ThreadClock } from './sampling/thread-clock.ts';
import { TypedAhead } from './typed-ahead.ts';

/** What its machine may add to the log: all that one has kept while it had no manager, at once. */
const LOG_RATE = { burst: 2 * KEPT_EVENTS, everyMs: 500 };
/** The first serial port. */
const COM1 = 0;
const NO_TIMES: ThreadTimes = { guestNs: 0, userNs: 0, systemNs: 0, hostCpu: null, id: null };

export type VmRunListener = {
  /** What it has said of itself is different now. */
  changed(): void;
  entered(state: MachineState): void;
  /** On the first serial port. */
  printed(bytes: Uint8Array): void;
  happened(event: MachineEvent): void;
  /** It does not respond. */
  silent(): void;
  /** It responds again. */
  answers(): void;
  /** Nothing of its machine is left. */
  ended(death: Death | null): void;
};

type Reply = {
  readonly command: CommandName;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
};

/** One run of a VM: its machine, what that has said of itself, and what it has been asked and has not answered yet. */
export class VmRun {
  readonly machine: Machine;
  readonly #listener: VmRunListener;
  readonly #threads: ThreadClock;
  readonly #replies = new Map<number, Reply>();
  readonly #liveness: Liveness;
  readonly #limit = new EventLimit(LOG_RATE);
  readonly #typedAhead = new TypedAhead();
  #nextCommand = 0;
  #shared: SharedCounters | null;
  #counters: CounterBlock | null;
  #topology: Topology | null = null;
  #confinement: readonly Layer[] | null = null;
  #broken: Readonly<Record<string, string>> = {};
  #diskErrors: Readonly<Record<string, string>> = {};
  #ending: MachineEnd | null = null;
  #end: MachineEnd | null = null;
  #state: MachineState = 'starting';
  #hasRun = false;
  #isOver = false;

  /** @param counters null while the machine has not answered a manager that did not start it */
  constructor(machine: Machine, counters: SharedCounters | null, listener: VmRunListener) {
    this.machine = machine;
    this.#listener = listener;
    this.#threads = new ThreadClock(machine.pid);
    this.#shared = counters;
    this.#counters = counters && { words: counters.words, layout: counters.layout };
    this.#liveness = new Liveness({
      ask: () => (machine.connection === null ? null : this.command('ping', {})),
      isHeld: () => machine.isHeld(),
      isBuilding: () => this.#state === 'starting',
      silent: () => listener.silent(),
      answers: () => listener.answers(),
    });
    void machine.gone.then(death => {
      this.#close(death);
      listener.ended(death);
    });
  }

  /** From here on the listener is called, first for what has come before. */
  listen(): void {
    this.machine.connection?.listen({
      message: message => this.#receive(message),
      printed: (port, bytes) => {
        if (port === COM1) this.#listener.printed(bytes);
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

  /** What the host's disk failed last, by device; empty once the machine is gone. */
  get diskErrors(): Readonly<Record<string, string>> {
    return this.#isOver ? {} : this.#diskErrors;
  }

  /** The last state that it has reported. */
  get state(): MachineState {
    return this.#state;
  }

  /** Has its guest begun to run? */
  get hasRun(): boolean {
    return this.#hasRun;
  }

  /** How the machine said that it ended; null: it has not said so. */
  get end(): MachineEnd | null {
    return this.#end;
  }

  /** How it ends, once it has stopped and is being taken apart; null before that. */
  get ending(): MachineEnd | null {
    return this.#ending;
  }

  /** In place while it runs, a copy of the last ones afterwards. */
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

  /** Has the machine carry out a command. @throws when it refuses, or ends before it has answered */
  async command<Name extends CommandName>(
    command: Name,
    args: MachineCommands[Name]['arguments'],
  ): Promise<MachineCommands[Name]['result']> {
    const id = this.#nextCommand++;
    const reply = Promise.withResolvers<unknown>();
    this.#replies.set(id, { command, ...reply });
    const message = { command, arguments: args } as MachineCommand;
    this.machine.connection?.send({ kind: 'command', id, ...message });
    // The machine may be another version's, or a guest's: no caller relies on what it may have left out.
    return (await reply.promise) as MachineCommands[Name]['result'];
  }

  /** It does not respond: nobody waits for its answers any longer, except for the one that says that it does again. */
  giveUp(reason: string): void {
    for (const [id, reply] of this.#replies) {
      if (reply.command === 'ping') continue;
      this.#replies.delete(id);
      reply.reject(new Error(`it does not respond: ${reason}`));
    }
  }

  /** What to log of something that its machine caused: a guest that has taken it over does not fill the log. */
  limited(event: MachineEvent): MachineEvent[] {
    return this.#limit.admit(event);
  }

  /** Typed bytes for the first serial port. Of what a guest does not read, only so much is kept. */
  type(bytes: Uint8Array): void {
    const taken = bytes.subarray(0, this.#typedAhead.capacity);
    if (this.#isOver || taken.length === 0) return;
    this.#typedAhead.typed(taken.length);
    this.machine.connection?.type(COM1, taken);
  }

  /** Resolves when the guest has taken enough of what was typed for more. */
  room(): Promise<void> {
    return this.#typedAhead.room();
  }

  /** Has the machine keep an entry of this manager's log, for the next manager. */
  remember(event: MachineEvent): void {
    this.machine.connection?.send({ kind: 'note', event });
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
      case 'event':
        for (const event of this.limited(message.event)) this.#listener.happened(event);
        break;
      case 'input-taken':
        if (message.port === COM1) this.#typedAhead.taken(message.bytes);
        break;
      case 'reply': {
        const reply = this.#replies.get(message.id);
        this.#replies.delete(message.id);
        if (message.error === null) reply?.resolve(message.result);
        else reply?.reject(new Error(message.error));
        break;
      }
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
    this.#typedAhead.clear();
    const { reason } = this.#end ?? death ?? { reason: 'its machine has ended' };
    for (const reply of this.#replies.values()) reply.reject(new Error(reason));
    this.#replies.clear();
    if (this.#shared === null || this.#counters === null) return;
    // The last ones stay on screens after the machine's memory is gone.
    this.#counters = { words: this.#shared.words.slice(), layout: this.#counters.layout };
    this.#shared.unmap();
    this.#shared = null;
  }
}
