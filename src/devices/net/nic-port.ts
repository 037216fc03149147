import type { FramePort, NetBackend } from '../backends/net.ts';
import { type NetLimits, netLimitsOf, netLimitsText, savedNetLimits } from '../backends/net-limits.ts';
import type { DeviceState } from '../device.ts';
import type { DeviceFact, NicControl } from '../device-type.ts';
import type { MachineServices } from '../machine-services.ts';
import { booleanOf, stateOf } from '../state.ts';
import type { QueueCounters } from '../virtio/queue-counters.ts';
import { networkFacts } from './network-facts.ts';

/**
 * The result of a frame's arrival: delivered to the guest; dropped by its filters or for errors; or kept, since there
 * is no room, and delivered again after `NicPort.roomAgain`.
 */
export type Arrival = 'taken' | 'dropped' | 'full';

export type NicPortOptions = {
  /** The card's name. */
  readonly name: string;
  readonly type: string;
  /** The initial state, until `setLink` and `setLimits`. */
  readonly link: boolean;
  readonly limits: NetLimits;
};

/** The most frames of a segmented packet that wait while the wire takes no more. Further frames are dropped. */
const MAX_WAITING = 64;

/**
 * The connector of a network card whose model handles its frames itself, on the machine thread: a port of its network,
 * with link, limits and counters. Nothing arrives while the card is quiesced.
 */
export class NicPort implements NicControl {
  /** Called with an arriving frame, which is valid during the call. */
  onFrame: (frame: Uint8Array) => Arrival = () => 'dropped';
  /** The wire takes frames again. */
  onReady: () => void = () => {};
  /** The link went up or down. */
  onLink: (up: boolean) => void = () => {};
  readonly backend: NetBackend;
  readonly #port: FramePort;
  readonly #receive: QueueCounters;
  readonly #transmit: QueueCounters;
  readonly #waiting: Uint8Array[] = [];
  #link = true;
  #limits: NetLimits = {};
  /** The link state that the card has been notified of. */
  #up = false;
  #isRunning = true;
  #isFull = false;

  constructor(
    { name, type, link, limits }: NicPortOptions,
    backend: NetBackend,
    services: Pick<MachineServices, 'allocateQueueCounters' | 'warn'>,
  ) {
    this.backend = backend;
    this.#receive = services.allocateQueueCounters({ device: name, type, queue: 'receive', size: 0 });
    this.#transmit = services.allocateQueueCounters({ device: name, type, queue: 'transmit', size: 0 });
    this.#port = backend.openPort();
    this.#port.onFrame = frame => this.#arrived(frame);
    this.#port.onReady = () => this.#wireReady();
    backend.onConnected = connected => {
      this.#linkChanged();
      if (!connected)
        services.warn(
          `${name} has lost its network (${backend.label}), whose other end is gone: attach another card, or start the VM again`,
        );
    };
    this.#link = link;
    backend.setLink(link);
    this.setLimits(limits);
    this.#up = this.#isUp;
    this.#port.resume();
  }

  /** Whether there is a link, as the card has been notified. */
  get up(): boolean {
    return this.#up;
  }

  /** Whether the wire takes frames; `onReady` is called when it does again. */
  get ready(): boolean {
    return this.#waiting.length === 0 && this.#isRunning;
  }

  /** Sends a frame, which is copied. While the wire takes no more, a few frames are queued. */
  send(frame: Uint8Array): void {
    this.sendMore(frame);
    this.flush();
  }

  /** The same for one of several frames; `flush` must be called after the last. */
  sendMore(frame: Uint8Array): void {
    this.#transmit.add('requests', 1);
    this.#transmit.add('bytesFromGuest', frame.length);
    if (!this.#up) this.#transmit.add('dropped', 1);
    else if (this.#waiting.length >= MAX_WAITING) this.#transmit.add('dropped', 1);
    else if (!this.ready || !this.#port.send(frame)) this.#waiting.push(frame.slice());
  }

  flush(): void {
    this.#port.flush();
  }

  /** Counts a packet that the guest wants to send but that cannot be sent. */
  transmitError(): void {
    this.#transmit.add('errors', 1);
  }

  /** Counts an interrupt that the card has raised for frames in one direction. */
  interrupted(direction: 'receive' | 'transmit'): void {
    (direction === 'receive' ? this.#receive : this.#transmit).add('interrupts', 1);
  }

  /** The card has room for frames again. */
  roomAgain(): void {
    if (!this.#isFull) return;
    this.#isFull = false;
    if (this.#isRunning) this.#port.resume();
  }

  quiesce(): void {
    this.#isRunning = false;
    this.#port.pause();
  }

  /** Continues, and notifies the card of changes of link and wire in the meantime. */
  resume(): void {
    this.#isRunning = true;
    this.#linkChanged();
    if (!this.#isFull) this.#port.resume();
    this.#wireReady();
  }

  /** The card is reset: no frames wait for it any more. */
  reset(): void {
    this.#waiting.length = 0;
    this.roomAgain();
  }

  get link(): boolean {
    return this.#link;
  }

  setLink(up: boolean): void {
    this.#link = up;
    this.backend.setLink(up);
    this.#linkChanged();
  }

  setLimits(limits: NetLimits): void {
    this.backend.setLimits(limits);
    this.#limits = limits;
  }

  get facts(): DeviceFact[] {
    const { backend } = this;
    const link = !this.#link ? 'down' : backend.connected ? 'up' : 'down (the other end is gone)';
    return [
      ...networkFacts(backend),
      { label: 'link', value: link },
      { label: 'limits', value: netLimitsText(this.#limits) },
    ];
  }

  /** What survives a reset of the card: link and limits. Queued frames are lost. */
  save(): DeviceState {
    return { link: this.#link, up: this.#up, limits: savedNetLimits(this.#limits) };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const [link, up] = [booleanOf(state, 'link'), booleanOf(state, 'up')];
    const limits = netLimitsOf(stateOf(state, 'limits'));
    this.reset();
    this.setLimits(limits);
    this.#link = link;
    this.#up = up;
    this.backend.setLink(link);
  }

  close(): void {
    this.#port.close();
    this.backend.close();
    this.#receive.release();
    this.#transmit.release();
  }

  get #isUp(): boolean {
    return this.#link && this.backend.connected;
  }

  #linkChanged(): void {
    const up = this.#isUp;
    if (up === this.#up || !this.#isRunning) return;
    this.#up = up;
    if (!up) this.#waiting.length = 0;
    this.onLink(up);
  }

  #arrived(frame: Uint8Array): boolean {
    if (!this.#up) return true;
    const arrival = this.onFrame(frame);
    if (arrival === 'full') {
      this.#isFull = true;
      return false;
    }
    if (arrival === 'dropped') {
      this.#receive.add('dropped', 1);
    } else {
      this.#receive.add('requests', 1);
      this.#receive.add('bytesToGuest', frame.length);
    }
    return true;
  }

  /** Sends queued frames, and then lets the card continue. */
  #wireReady(): void {
    if (!this.#isRunning) return;
    while (this.#waiting.length > 0 && this.#port.send(this.#waiting[0]!)) this.#waiting.shift();
    this.flush();
    if (this.#waiting.length === 0) this.onReady();
  }
}
