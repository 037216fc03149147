import type { Layer } from '../vmm/confinement/layer.ts';
import { type CounterBlock, VCPU } from '../vmm/counters/counters.ts';
import { createCounters, type SharedCounters } from '../vmm/counters/shared-counters.ts';
import type { MachineConfig } from '../vmm/machine/config.ts';
import type {
  CommandName,
  FromMachine,
  MachineCommand,
  MachineCommands,
  MachineEnd,
  MachineEvent,
} from '../vmm/machine/messages.ts';
import { Scrollback } from '../vmm/machine/scrollback.ts';
import type { Topology } from '../vmm/machine/topology.ts';
import { Consoles } from './consoles.ts';
import type { DefinedVm } from './definitions.ts';
import type { Death, FoundMachine, Machine, Machines, Registration } from './machines/machine.ts';
import { MAX_QUEUES, MAX_REGIONS } from './machines/machine-messages.ts';
import type { ThreadTimes } from './sampling/counter-source.ts';
import { ThreadClock } from './sampling/thread-clock.ts';
import { TypedAhead } from './typed-ahead.ts';
import type { VmInfo, VmState } from './vm-info.ts';

const SCROLLBACK_BYTES = 64 * 1024;
/** How long a machine may take to end by itself before it is ended by force. */
const STOP_TIMEOUT_MS = 1500;
/** How long that may take before it is said to be stuck. */
const DESTROY_TIMEOUT_MS = 500;
/** How long a machine of an earlier manager may take to answer before it is said to be stuck. */
const SILENCE_MS = 800;
const STOPPED = 'it was stopped';
/** The first serial port. */
const COM1 = 0;

/** What a VM holds from before it starts until nothing of it is left. */
export type VmPlace = {
  /** For a machine that outlives this process. */
  readonly registration: Registration | null;
  /** The machine has what it needs of it. */
  handedOver(): void;
  release(): void;
};

export type VmListener = {
  changed(vm: Vm): void;
  /** Something happened in its machine. */
  happened(vm: Vm, event: MachineEvent): void;
};

/** One VM in its manager: its machine, while it has one, and what outlives that. */
export class Vm {
  #name: string;
  readonly consoles: Consoles;
  /** What is on disk of it. */
  #defined: DefinedVm | null = null;
  /** What its machine is, or was, made of; null before the first start. */
  #config: MachineConfig | null = null;
  readonly #listener: VmListener;
  readonly #scrollback = new Scrollback(SCROLLBACK_BYTES);
  readonly #replies = new Map<
    number,
    { resolve: (result: unknown) => void; reject: (error: Error) => void }
  >();
  #nextCommand = 0;
  #machine: Machine | null = null;
  #place: VmPlace | null = null;
  #counters: CounterBlock | null = null;
  #shared: SharedCounters | null = null;
  #threads: ThreadClock | null = null;
  #topology: Topology | null = null;
  #confinement: readonly Layer[] | null = null;
  #state: VmState = 'off';
  #stuck: string | null = null;
  #end: MachineEnd | null = null;
  #forced = false;
  #hasRun = false;
  #interrupted = false;
  /** It was running before this manager, which does not know yet in which state. */
  #adopting = false;
  readonly #typedAhead = new TypedAhead();
  /** Devices that stopped serving their driver, and why. */
  #broken: Readonly<Record<string, string>> = {};
  /** What the host's disk failed last, by device. */
  #diskErrors: Readonly<Record<string, string>> = {};
  #startedAt: number | null = null;
  #ended: Promise<void> = Promise.resolve();

  constructor(name: string, listener: VmListener) {
    this.#name = name;
    this.#listener = listener;
    this.consoles = new Consoles({
      scrollback: () => this.#scrollback.read(),
      type: bytes => this.type(bytes),
      room: () => this.#typedAhead.room(),
      keyboardChanged: () => this.#listener.changed(this),
    });
  }

  get name(): string {
    return this.#name;
  }

  /** While it has no machine. */
  rename(name: string): void {
    this.#name = name;
    if (this.#config !== null) this.#config = { ...this.#config, name };
  }

  get info(): VmInfo {
    return {
      id: this.name,
      name: this.name,
      state: this.#state,
      ...this.#size,
      reason: this.#stuck ?? this.#end?.reason ?? null,
      detail: this.#end?.detail ?? null,
      exitCode: this.#end?.exitCode ?? null,
      ...(this.#interrupted && { interrupted: true }),
      startedAt: this.#startedAt,
      pid: this.#machine?.pid ?? null,
      broken: this.#broken,
      ...(Object.keys(this.#diskErrors).length > 0 && { diskErrors: this.#diskErrors }),
      confinement: this.#confinement,
      topology: this.#topology,
      defined: this.#defined !== null,
      problem: this.#defined?.problem ?? null,
      blockers: this.#defined?.blockers ?? [],
      autostart: this.#defined?.autostart ?? false,
      keyboardHolder: this.consoles.keyboardHolder,
    };
  }

  /** What its machine has, or will have at its next start. */
  get #size(): { vcpus: number; memoryBytes: number } {
    const next = this.alive ? null : this.#defined;
    const now = this.#config;
    return {
      vcpus: next?.vcpus ?? now?.cpus ?? 0,
      memoryBytes: next?.memoryBytes ?? now?.memory.bytes ?? 0,
    };
  }

  get defined(): DefinedVm | null {
    return this.#defined;
  }

  /** What is on disk of it has changed; null: there is nothing any more. */
  define(defined: DefinedVm | null): void {
    if (defined === this.#defined) return;
    this.#defined = defined;
    this.#listener.changed(this);
  }

  /**
   * It was running in a manager that is gone, and its machine is too.
   * @param config what it was made of, if it has no definition
   */
  interrupt(reason: string, config: MachineConfig | null): void {
    this.#config = config;
    this.#end = { crashed: true, reason, detail: null, exitCode: null };
    this.#interrupted = true;
    this.#set('crashed');
  }

  get config(): MachineConfig | null {
    return this.#config;
  }

  get alive(): boolean {
    return this.#machine !== null;
  }

  /** What it says of its state is not known yet. */
  get adopting(): boolean {
    return this.#adopting;
  }

  get counters(): CounterBlock | null {
    return this.#counters;
  }

  get scrollback(): Uint8Array {
    return this.#scrollback.read();
  }

  get threadTimes(): ThreadTimes[] {
    const counters = this.#counters;
    if (counters === null) return [];
    const { words, layout } = counters;
    return Array.from({ length: layout.shape.vcpus }, (_, index) => {
      const tid = Number(words[layout.vcpu(index) + VCPU.tid]);
      return this.#threads?.times(tid) ?? NO_TIMES;
    });
  }

  /** Builds the machine and runs it. @throws what kept it from being locked or built, in one sentence. */
  async start(config: MachineConfig, machines: Machines, takePlace: () => VmPlace): Promise<void> {
    if (this.#machine !== null) throw new Error(`${this.name} is ${this.#state} already`);
    const shape = { vcpus: config.cpus, queues: MAX_QUEUES, regions: MAX_REGIONS };
    const place = takePlace();
    let counters: ReturnType<typeof createCounters> | null = null;
    try {
      counters = createCounters(shape);
      const { registration } = place;
      const machine = machines.launch({ config, countersFd: counters.fd, registration });
      place.handedOver();
      this.#config = config;
      this.#startedAt = Date.now();
      this.#set('starting', () => this.#take(machine, counters!, place));
    } catch (error) {
      counters?.unmap();
      place.release();
      throw error;
    } finally {
      counters?.closeFd();
    }
    const started = Promise.withResolvers<void>();
    this.#whenRunning = started.resolve;
    void this.#ended.then(() => started.reject(new Error(this.#end?.reason ?? 'it has ended')));
    await started.promise;
  }

  #whenRunning: () => void = () => {};

  /** Takes over a machine that another manager has started. Resolves once its state is known, or it is known not to respond. */
  async adopt(found: FoundMachine): Promise<void> {
    this.#config = found.config;
    this.#startedAt = found.startedAt;
    this.#adopting = true;
    const known = Promise.withResolvers<void>();
    this.#whenKnown = known.resolve;
    const place = { registration: null, handedOver: () => {}, release: found.release };
    this.#set('starting', () => this.#take(found.silent, null, place));
    const silence = setTimeout(() => this.#seize(found.silent.whyStuck()), SILENCE_MS);
    found.answered
      .then(answering => {
        if (answering === null || this.#machine !== found.silent) return;
        this.#adopting = true;
        this.#set('starting', () => this.#take(answering.machine, answering.counters, place));
      })
      .catch(error => this.#seize(error.message))
      .finally(() => clearTimeout(silence));
    await known.promise;
  }

  #whenKnown: () => void = () => {};

  /** The machine is there, and nothing can be done with it but to end it. */
  #seize(reason: string): void {
    this.#adopting = false;
    this.#stuck = reason;
    this.#set('stuck');
    this.#whenKnown();
  }

  /** Has the machine carry out a command. @throws when there is no machine, or it refuses. */
  async command<Name extends CommandName>(
    command: Name,
    args: MachineCommands[Name]['arguments'],
  ): Promise<MachineCommands[Name]['result']> {
    const machine = this.#machine;
    if (machine === null) throw new Error(`${this.name} is ${this.#state}: start it first`);
    if (machine.connection === null) throw new Error(`${this.name} is stuck: ${this.#stuck}`);
    const id = this.#nextCommand++;
    const reply = Promise.withResolvers<unknown>();
    this.#replies.set(id, reply);
    const message = { command, arguments: args } as MachineCommand;
    machine.connection.send({ kind: 'command', id, ...message });
    // The machine may be another version's, or a guest's: no caller relies on what it may have left out.
    return (await reply.promise) as MachineCommands[Name]['result'];
  }

  /**
   * Ends the machine; resolves when nothing of it is left.
   * @throws when it is stuck: what its host has to do first
   */
  async kill(): Promise<void> {
    const machine = this.#machine;
    if (machine === null) return;
    if (this.#state !== 'stuck') this.#set('stopping');
    // A stop that the end of the machine overtakes is no failure.
    this.command('stop', { reason: STOPPED }).catch(() => {});
    if (await endsWithin(this.#ended, STOP_TIMEOUT_MS)) return;
    this.#forced = true;
    machine.destroy();
    if (await endsWithin(this.#ended, DESTROY_TIMEOUT_MS)) return;
    this.#seize(machine.whyStuck());
    throw new Error(`${this.name} is stuck: ${this.#stuck}`);
  }

  /** For another machine of this name: nothing that the last one printed is replayed; who watches sees the next one. */
  clearScrollback(): void {
    this.#scrollback.clear();
  }

  type(bytes: Uint8Array): void {
    if (this.#machine === null) return;
    const taken = bytes.subarray(0, this.#typedAhead.capacity);
    if (taken.length === 0) return;
    this.#typedAhead.typed(taken.length);
    this.#machine.connection?.type(COM1, taken);
  }

  /** Has the machine keep an entry of this manager's log, for the next manager. */
  remember(event: MachineEvent): void {
    this.#machine?.connection?.send({ kind: 'note', event });
  }

  #take(machine: Machine, counters: SharedCounters | null, place: VmPlace): void {
    this.#machine = machine;
    this.#place = place;
    this.#shared = counters;
    this.#counters = counters && { words: counters.words, layout: counters.layout };
    this.#threads = new ThreadClock(machine.pid);
    this.#end = null;
    this.#stuck = null;
    this.#forced = false;
    this.#hasRun = false;
    this.#interrupted = false;
    this.#broken = {};
    this.#diskErrors = {};
    this.#confinement = null;
    this.#ended = machine.gone.then(death => {
      // The one that was silent may have answered, and is another object then.
      if (this.#machine === machine) this.#exited(death);
    });
    machine.connection?.listen({
      message: message => this.#receive(message),
      printed: (port, bytes) => this.#printed(port, bytes),
    });
  }

  #printed(port: number, bytes: Uint8Array): void {
    if (port !== COM1) return;
    this.#scrollback.append(bytes);
    this.consoles.printed(bytes);
  }

  #receive(message: FromMachine): void {
    switch (message.kind) {
      case 'created':
        this.#machine?.created?.(message.vm);
        break;
      case 'topology':
        this.#topology = message.topology;
        this.#listener.changed(this);
        break;
      case 'confinement':
        this.#confinement = message.layers;
        this.#listener.changed(this);
        break;
      case 'state':
        this.#entered(message.state);
        break;
      case 'broken':
        this.#broken = message.broken;
        this.#listener.changed(this);
        break;
      case 'disk-errors':
        this.#diskErrors = message.diskErrors;
        this.#listener.changed(this);
        break;
      case 'event':
        this.#listener.happened(this, message.event);
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
      case 'ended':
        this.#end = message.end;
        this.#machine?.connection?.send({ kind: 'collected' });
        break;
      case 'hello':
        break;
    }
  }

  #entered(state: VmState): void {
    this.#hasRun = true;
    if (this.#state !== 'stopping' && this.#state !== 'stuck') this.#set(state);
    this.#adopting = false;
    this.#whenKnown();
    if (state === 'running') this.#whenRunning();
  }

  /** The machine is gone: by its own end, or with its thread or process, which took nothing but this VM along. */
  #exited(death: Death | null): void {
    this.#machine?.connection?.close();
    this.#machine = null;
    this.#threads = null;
    this.#adopting = false;
    this.#stuck = null;
    this.#whenKnown();
    this.#typedAhead.clear();
    this.#diskErrors = {};
    this.#keepCounters();
    // Before listeners are notified: they may start it again at once.
    this.#place?.release();
    this.#place = null;
    const end = this.#howItEnded(death);
    this.#end = end;
    for (const reply of this.#replies.values()) reply.reject(new Error(end.reason));
    this.#replies.clear();
    this.#set(end.crashed ? 'crashed' : 'off');
  }

  /** The last ones stay on screens after the machine's memory is gone. */
  #keepCounters(): void {
    if (this.#shared === null || this.#counters === null) return;
    this.#counters = { words: this.#shared.words.slice(), layout: this.#counters.layout };
    this.#shared.unmap();
    this.#shared = null;
  }

  #howItEnded(death: Death | null): MachineEnd {
    if (this.#forced && (this.#end === null || this.#end.crashed)) {
      // One that is still being built does not respond to anything.
      const reason = this.#hasRun ? 'it was ended by force, because its machine did not respond' : STOPPED;
      return { crashed: false, reason, detail: null, exitCode: null };
    }
    if (this.#end !== null) return this.#end;
    const { reason, detail } = death ?? { reason: 'its machine ended without a reason', detail: null };
    return { crashed: true, reason, detail, exitCode: null };
  }

  #set(state: VmState, first: () => void = () => {}): void {
    this.#state = state;
    first();
    this.#listener.changed(this);
  }
}

const NO_TIMES: ThreadTimes = { guestNs: 0, userNs: 0, systemNs: 0, hostCpu: null };

/** @returns whether it has ended in that time */
async function endsWithin(ended: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>(resolve => {
    timer = setTimeout(resolve, ms, false);
  });
  const result = await Promise.race([ended.then(() => true), late]);
  clearTimeout(timer);
  return result;
}
