import type { QueueProgress, RunningQueue } from '../../../devices/virtio/virtio-device.ts';

/** A queue of a card. Another server may take it over at its present position, unnoticed by the device. */
export class CardQueue implements RunningQueue {
  readonly #start: (progress: QueueProgress) => RunningQueue;
  readonly #broken: (reason: string) => void;
  readonly #ended: () => void;
  #running: RunningQueue;
  #state: 'running' | 'restarting' | 'stopping' = 'running';

  /**
   * @param start starts a server for it, whichever applies now
   * @param broken it cannot be started again
   * @param ended its device has stopped it
   * @throws what `start` throws
   */
  constructor(
    progress: QueueProgress,
    start: (progress: QueueProgress) => RunningQueue,
    broken: (reason: string) => void,
    ended: () => void,
  ) {
    this.#start = start;
    this.#broken = broken;
    this.#ended = ended;
    this.#running = start(progress);
  }

  /** Stops it, and starts it again once it has stopped, unless its device has stopped it in the meantime. */
  restart(): void {
    if (this.#state !== 'running') return;
    this.#state = 'restarting';
    this.#running.requestStop(() => this.#startAgain());
    // Without a thread, it has already stopped.
    this.#startAgain();
  }

  requestStop(onEnded?: () => void): void {
    this.#leave();
    this.#running.requestStop(onEnded);
  }

  stop(limitMs: number): QueueProgress | null {
    return this.#running.stop(limitMs);
  }

  abandon(): QueueProgress | null {
    this.#leave();
    return this.#running.abandon();
  }

  #leave(): void {
    this.#state = 'stopping';
    this.#ended();
  }

  #startAgain(): void {
    if (this.#state !== 'restarting') return;
    const progress = this.#running.stop(0);
    if (progress === null) return;
    this.#state = 'running';
    try {
      this.#running = this.#start(progress);
    } catch (error) {
      this.#running = { requestStop: () => {}, stop: () => progress, abandon: () => progress };
      this.#broken(error instanceof Error ? error.message : String(error));
    }
  }
}
