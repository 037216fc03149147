import type { Layer } from '../confinement/layer.ts';
import { EventLimit } from './event-limit.ts';
import { messageFrame, portFrame } from './frames.ts';
import type {
  FromMachine,
  MachineEnd,
  MachineEvent,
  MachineIdentity,
  RunState,
  SnapshotProgress,
  TakenOver,
} from './messages.ts';
import { Scrollback } from './scrollback.ts';
import type { Topology } from './topology.ts';

/** Bytes kept of each port's output. */
export const SCROLLBACK_BYTES = 64 * 1024;
/** Most bytes of it in one frame. */
const PIECE_BYTES = 16 * 1024;
/** Events kept for a later manager. */
export const KEPT_EVENTS = 200;

type Reply = Extract<FromMachine, { kind: 'reply' }>;
type Part =
  | 'created'
  | 'topology'
  | 'confinement'
  | 'state'
  | 'broken'
  | 'disk-errors'
  | 'taken-over'
  | 'handed-over'
  | 'snapshot'
  | 'ending'
  | 'ended';
/** In the order in which they are sent, before and after everything else. An upgrade ends with all facts known. */
const FIRST: readonly Part[] = [
  'created',
  'topology',
  'confinement',
  'state',
  'taken-over',
  'broken',
  'disk-errors',
  'snapshot',
];
const LAST: readonly Part[] = ['ending', 'ended'];
/** Sent to one manager, but not to a later one. */
const ONCE: ReadonlySet<Part> = new Set<Part>(['created', 'taken-over', 'handed-over']);

/** For one of vring's own devices: it waits for its back end. */
const NO_ANSWER = 'the host has not answered some of its requests';

/** `known`: to the manager. */
type KeptEvent = { readonly event: MachineEvent; readonly known: boolean };
type Port = { readonly printed: Scrollback; sent: number; taken: number };

/** What another process needs to continue this report. */
export type ReportState = {
  readonly ports: readonly {
    readonly port: number;
    /** Number of bytes printed so far; `bytes` has the last of them. */
    readonly total: number;
    readonly bytes: Uint8Array;
    /** The number of these sent to the manager. */
    readonly sent: number;
    /** Bytes of input that the guest has taken and that have not been reported to the manager. */
    readonly taken: number;
  }[];
  readonly events: readonly KeptEvent[];
  readonly broken: Readonly<Record<string, string>>;
  readonly diskErrors: Readonly<Record<string, string>>;
};

/** Changes a machine's report, and sends the changes. */
export type Notify = (change: (report: MachineReport) => void) => void;

/**
 * A machine's report to its manager, kept as its present state, since the manager may be slow, or gone. If a part
 * changes before it is sent, only its last state is sent; so is only the console output that is kept: memory does not
 * grow with unsent data.
 */
export class MachineReport {
  readonly #unsent = new Set<Part>();
  readonly #ports = new Map<number, Port>();
  readonly #limit = new EventLimit();
  /** A manager waits for each, so there are few. */
  #replies: Reply[] = [];
  #events: KeptEvent[] = [];
  #nativeVm: number | null = null;
  #topology: Topology | null = null;
  #layers: readonly Layer[] | null = null;
  #state: RunState = 'starting';
  #stateReason: string | undefined;
  #broken: Readonly<Record<string, string>> = {};
  #diskErrors: Readonly<Record<string, string>> = {};
  /** The reason, by device. */
  #draining: ReadonlyMap<string, string> = new Map();
  #snapshot: SnapshotProgress | null = null;
  #snapshotKnown = false;
  #ending: MachineEnd | null = null;
  #end: MachineEnd | null = null;
  /** Another process continues it. */
  #isFrozen = false;
  #takenOver: TakenOver | null = null;

  /** For a manager in the same process. */
  created(vm: number): void {
    this.#nativeVm = vm;
    this.#unsent.add('created');
  }

  built(topology: Topology): void {
    if (this.#topology !== null && JSON.stringify(topology) === JSON.stringify(this.#topology)) return;
    this.#topology = topology;
    this.#unsent.add('topology');
  }

  /** @param reason why it is paused, if no user asked for it */
  entered(state: RunState, reason?: string): void {
    if (state === this.#state && reason === this.#stateReason) return;
    this.#state = state;
    this.#stateReason = reason;
    this.#unsent.add('state');
  }

  confined(layers: readonly Layer[]): void {
    this.#layers = layers;
    this.#unsent.add('confinement');
  }

  broke(device: string, reason: string): void {
    this.happened('error', `${device} is broken: ${reason}`);
    if (this.#broken[device] === reason) return;
    this.#broken = { ...this.#broken, [device]: reason };
    this.#unsent.add('broken');
  }

  /** The host's disk has failed requests of a device; null once it no longer does. */
  diskFailed(device: string, text: string | null): void {
    const { [device]: _, ...others } = this.#diskErrors;
    this.#diskErrors = text === null ? others : { ...others, [device]: text };
    this.#unsent.add('disk-errors');
    if (text !== null) this.happened('error', `${device}: ${text}`);
  }

  /**
   * Devices that the machine waits for, to be paused or reset; empty once it no longer does.
   * @param reason why one has not stopped; undefined if the host does not respond
   */
  draining(
    devices: readonly string[],
    reason: (device: string) => string | undefined = () => undefined,
  ): void {
    const why = (device: string) => reason(device) ?? NO_ANSWER;
    const before = [...this.#draining.keys()];
    if (devices.join() === before.join()) return;
    this.#draining = new Map(devices.map(device => [device, why(device)]));
    const reasons = [...Map.groupBy(devices, why)].map(([text, names]) => `${names.join(', ')}: ${text}`);
    if (devices.length > 0) this.happened('warning', `waits for ${reasons.join('; ')}`);
    else this.happened('info', `no longer waits for ${before.join(', ')}`);
    this.#unsent.add('disk-errors');
  }

  /** The machine was reset: its devices work again. */
  repaired(): void {
    if (Object.keys(this.#broken).length === 0) return;
    this.#broken = {};
    this.#unsent.add('broken');
  }

  /** The progress of a snapshot of it; null if none is being taken. */
  snapshotting(progress: SnapshotProgress | null): void {
    if (progress === null && this.#snapshot === null) return;
    this.#snapshot = progress;
    this.#unsent.add('snapshot');
  }

  /** The output of the ports, as far as it is kept. */
  get printedSoFar(): readonly { readonly port: number; readonly bytes: Uint8Array }[] {
    return Array.from(this.#ports, ([port, { printed }]) => ({ port, bytes: printed.read() }));
  }

  /** It has stopped; `ended` follows once it has been torn down. */
  ending(end: MachineEnd): void {
    this.#ending = end;
    this.#unsent.add('ending');
  }

  ended(end: MachineEnd): void {
    for (const event of this.#limit.rest(Date.now())) this.#keep({ event, known: false });
    this.#end = end;
    this.#unsent.add('ended');
  }

  /** Something happened in the machine. A guest may cause any number of such events. */
  happened(level: MachineEvent['level'], text: string): void {
    for (const event of this.#limit.admit({ at: Date.now(), level, text }))
      this.#keep({ event, known: false });
  }

  /** The manager's own entry in its log about this VM. */
  noted(event: MachineEvent): void {
    this.#keep({ event, known: true });
  }

  printed(port: number, bytes: Uint8Array): void {
    this.#port(port).printed.append(bytes);
  }

  /** Bytes that a port has printed and that have not been sent to the manager. */
  unread(port: number): number {
    const { printed, sent } = this.#port(port);
    return printed.total - sent;
  }

  inputTaken(port: number, bytes: number): void {
    this.#port(port).taken += bytes;
  }

  reply(id: number, error: string | null, result: unknown = null): void {
    this.#replies.push({ kind: 'reply', id, error, result });
  }

  /** From here on only replies are sent, until `thaw`. @returns what another process needs to continue */
  freeze(): ReportState {
    this.#isFrozen = true;
    return this.kept;
  }

  /** What is kept of it. */
  get kept(): ReportState {
    return {
      ports: Array.from(this.#ports, ([port, { printed, sent, taken }]) => ({
        port,
        total: printed.total,
        bytes: printed.read(),
        sent,
        taken,
      })),
      events: this.#events,
      broken: this.#broken,
      diskErrors: this.#diskErrors,
    };
  }

  thaw(): void {
    this.#isFrozen = false;
  }

  /** The machine belongs to the other process: that is the last message to the manager. */
  handedOver(): void {
    this.#unsent.add('handed-over');
  }

  /** Continues the report of another process: what has been sent to the manager is not sent again. */
  takenOver({ ports, events, broken, diskErrors }: ReportState, how: TakenOver): void {
    this.#continue({ ports, events, broken, diskErrors });
    this.#takenOver = how;
    this.#unsent.add('taken-over');
  }

  /** Continues the report of a machine on another host: this manager knows nothing of it. */
  arrived({ ports, events, ...rest }: ReportState): void {
    this.#continue({
      ...rest,
      ports: ports.map(port => ({ ...port, sent: 0, taken: 0 })),
      events: events.map(({ event }) => ({ event, known: false })),
    });
  }

  #continue({ ports, events, broken, diskErrors }: ReportState): void {
    for (const { port: number, total, bytes, sent, taken } of ports) {
      const port = this.#port(number);
      port.printed.continueAt(total, bytes);
      port.sent = Math.min(sent, total);
      port.taken = taken;
    }
    // This process may have logged warnings since it was started.
    const own = this.#events;
    this.#events = [];
    for (const event of [...events, ...own]) this.#keep(event);
    this.#broken = broken;
    this.#diskErrors = diskErrors;
    for (const part of ['broken', 'disk-errors'] as const) this.#unsent.add(part);
  }

  /** Another manager has connected: everything must be sent. @returns the first frame */
  beginAgain(identity: MachineIdentity): Uint8Array {
    this.#replies = [];
    this.#events = this.#events.map(({ event }) => ({ event, known: false }));
    for (const port of this.#ports.values()) {
      port.sent = 0;
      port.taken = 0;
    }
    this.#snapshotKnown = false;
    this.#unsent.clear();
    for (const part of [...FIRST, ...LAST]) if (!ONCE.has(part)) this.#unsent.add(part);
    return messageFrame({ kind: 'hello', ...identity } satisfies FromMachine);
  }

  /** The next frame to send; null if there is none for now. */
  next(): Uint8Array | null {
    if (this.#isFrozen) {
      const last = this.#replies.shift() ?? this.#part('handed-over');
      return last === null ? null : messageFrame(last);
    }
    const message = this.#nextMessage();
    if (message !== null) return messageFrame(message);
    for (const [number, port] of this.#ports) {
      if (port.sent === port.printed.total) continue;
      const bytes = port.printed.readFrom(port.sent, PIECE_BYTES);
      // The oldest bytes may have been dropped.
      port.sent = Math.max(port.sent, port.printed.oldest) + bytes.length;
      return portFrame(number, bytes);
    }
    const last = this.#nextTaken() ?? this.#replies.shift() ?? this.#part('ending') ?? this.#part('ended');
    return last === null ? null : messageFrame(last);
  }

  #nextMessage(): FromMachine | null {
    for (const part of FIRST) {
      const message = this.#part(part);
      if (message !== null) return message;
    }
    const index = this.#events.findIndex(({ known }) => !known);
    if (index < 0) return null;
    const { event } = this.#events[index]!;
    this.#events[index] = { event, known: true };
    return { kind: 'event', event };
  }

  #part(part: Part): FromMachine | null {
    if (!this.#unsent.delete(part)) return null;
    switch (part) {
      case 'created':
        return this.#nativeVm === null ? null : { kind: 'created', vm: this.#nativeVm };
      case 'topology':
        return this.#topology === null ? null : { kind: 'topology', topology: this.#topology };
      case 'confinement':
        return this.#layers === null ? null : { kind: 'confinement', layers: this.#layers };
      case 'state':
        return {
          kind: 'state',
          state: this.#state,
          ...(this.#stateReason !== undefined && { reason: this.#stateReason }),
        };
      case 'broken':
        return { kind: 'broken', broken: this.#broken };
      case 'disk-errors':
        return { kind: 'disk-errors', diskErrors: { ...this.#diskErrors, ...this.#unanswered } };
      case 'taken-over':
        return this.#takenOver === null ? null : { kind: 'taken-over', ...this.#takenOver };
      case 'handed-over':
        return { kind: 'handed-over' };
      case 'snapshot':
        return this.#snapshotChange();
      case 'ending':
        return this.#ending === null ? null : { kind: 'ending', end: this.#ending };
      case 'ended':
        return this.#end === null ? null : { kind: 'ended', end: this.#end };
    }
  }

  get #unanswered(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#draining);
  }

  /** Null for a manager that knows of no snapshot. */
  #snapshotChange(): FromMachine | null {
    if (this.#snapshot === null && !this.#snapshotKnown) return null;
    this.#snapshotKnown = this.#snapshot !== null;
    return { kind: 'snapshot', progress: this.#snapshot };
  }

  #nextTaken(): FromMachine | null {
    for (const [number, port] of this.#ports) {
      if (port.taken === 0) continue;
      const bytes = port.taken;
      port.taken = 0;
      return { kind: 'input-taken', port: number, bytes };
    }
    return null;
  }

  #keep(event: KeptEvent): void {
    if (this.#events.length === KEPT_EVENTS) this.#events.shift();
    this.#events.push(event);
  }

  #port(number: number): Port {
    let port = this.#ports.get(number);
    if (port === undefined) {
      port = { printed: new Scrollback(SCROLLBACK_BYTES), sent: 0, taken: 0 };
      this.#ports.set(number, port);
    }
    return port;
  }
}
