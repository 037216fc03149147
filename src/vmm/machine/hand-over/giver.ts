import type { Cancel, Clock } from '../../../devices/device.ts';
import type { FdWatcher } from '../manager-link.ts';
import { HandOverChannel } from './channel.ts';
import { type FromTaker, type Offer, parseFromTaker } from './messages.ts';

/** A machine that can be handed over. */
export type GivenMachine = {
  /** What to build it from, with the fds, which the giver keeps. @throws why it cannot be handed over */
  offer(): { readonly offer: Offer; readonly fds: readonly number[] };
  /**
   * Stops it; `done` is called once all of it has stopped, with null, or with why it cannot be handed over. It
   * continues when the returned function is called.
   */
  quiesce(done: (failure: string | null) => void): () => void;
  /** How long that may take beyond `STOP_NS`, given what was offered. */
  readonly extraStopNs: bigint;
  /** Names of the devices that have not stopped. */
  readonly holdups: readonly string[];
  /** Everything that the other process has to know, while it is quiesced, with fds, which the giver keeps. */
  state(): { readonly bytes: Uint8Array; readonly fds: readonly number[] };
};

export type Outcome =
  /** The machine belongs to the other process: none of it may be touched any more. */
  | { readonly kind: 'gone' }
  /** It continues here. */
  | { readonly kind: 'failed'; readonly reason: string };

/** How long the other process may take to build the machine, which runs in the meantime, in nanoseconds. */
export const PREPARE_NS = 10_000_000_000n;
/** How long the machine may take to stop: usually a few milliseconds. */
export const STOP_NS = 1_000_000_000n;
/** How long the other process may take to load the state, while the guest is stopped. */
export const LOAD_NS = 3_000_000_000n;

/** The steps that have a deadline. */
type Step = 'prepare' | 'stop' | 'load' | 'go';

/**
 * Hands a machine that runs on this thread over to another process. It ends once the other process is certain to
 * receive `go`, or else the machine continues here, whatever the other process does, and however it ends.
 */
export class Giver {
  readonly #channel: HandOverChannel;
  readonly #machine: GivenMachine;
  readonly #loop: FdWatcher & Pick<Clock, 'at' | 'now'>;
  readonly #over: (outcome: Outcome) => void;
  #step: Step = 'prepare';
  #isOver = false;
  #release: (() => void) | null = null;
  #deadline: Cancel = () => {};

  /**
   * @param fd a connected socket, which this object takes over
   * @param over called once, possibly before this returns
   */
  constructor(
    fd: number,
    machine: GivenMachine,
    loop: FdWatcher & Pick<Clock, 'at' | 'now'>,
    over: (outcome: Outcome) => void,
  ) {
    this.#channel = new HandOverChannel(fd);
    this.#machine = machine;
    this.#loop = loop;
    this.#over = over;
    this.#try(() => {
      const { offer, fds } = machine.offer();
      this.#channel.send(offer, fds);
      this.#expect(PREPARE_NS, 'the other process has not built the machine in time');
      this.#watch();
    });
  }

  /** Does nothing once it is over. @param reason for the other process, and for the requester */
  cancel(reason: string): void {
    this.#fail(reason);
  }

  #ready(): void {
    this.#try(() => {
      for (const message of this.#channel.receive()) this.#take(parseFromTaker(message));
      if (this.#isOver) return;
      this.#channel.flush();
      this.#proceed();
    });
  }

  #take(message: FromTaker): void {
    if (message.kind === 'failed') this.#fail(message.reason);
    else if (message.kind === 'prepared' && this.#step === 'prepare') this.#stop();
    else if (message.kind === 'loaded' && this.#step === 'load') this.#go();
    else this.#fail('the other process sent a message out of order');
  }

  #stop(): void {
    this.#step = 'stop';
    this.#expect(STOP_NS + this.#machine.extraStopNs, () => {
      const { holdups } = this.#machine;
      const what = holdups.length === 0 ? 'its vCPUs do' : `${holdups.join(', ')} does`;
      return `the VM could not be stopped: ${what} not respond`;
    });
    const release = this.#machine.quiesce(failure => {
      if (failure === null) this.#try(() => this.#stopped());
      else this.#fail(failure);
    });
    if (this.#isOver) release();
    else this.#release = release;
  }

  #stopped(): void {
    if (this.#isOver || this.#step !== 'stop') return;
    this.#step = 'load';
    this.#expect(LOAD_NS, 'the other process has not loaded the state in time');
    const { bytes, fds } = this.#machine.state();
    this.#channel.sendState(bytes, fds);
    this.#proceed();
  }

  #go(): void {
    this.#step = 'go';
    this.#channel.send({ kind: 'go' });
    this.#proceed();
  }

  /** Acts on the progress of what was sent. */
  #proceed(): void {
    if (this.#isOver) return;
    if (this.#step === 'go' && !this.#channel.isWaiting) this.#finish({ kind: 'gone' });
    else if (this.#channel.isOver) this.#fail('the other process has ended');
    else this.#watch();
  }

  #expect(ns: bigint, late: string | (() => string)): void {
    this.#deadline();
    const fail = () => this.#fail(typeof late === 'string' ? late : late());
    this.#deadline = this.#loop.at(this.#loop.now() + ns, fail);
  }

  #watch(): void {
    if (this.#isOver) return;
    this.#loop.watchFd(this.#channel.fd, this.#channel.isWaiting, () => this.#ready());
  }

  #try(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#fail((error as Error).message);
    }
  }

  #fail(reason: string): void {
    if (this.#isOver) return;
    // The other process must not receive `go`: it cannot while part of it is still here.
    if (!this.#channel.isWaiting) this.#channel.send({ kind: 'failed', reason });
    this.#finish({ kind: 'failed', reason });
    this.#release?.();
  }

  #finish(outcome: Outcome): void {
    this.#isOver = true;
    this.#deadline();
    this.#loop.unwatchFd(this.#channel.fd);
    this.#channel.close();
    this.#over(outcome);
  }
}
