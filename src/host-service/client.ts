import type { Waiting as StepWaiting } from '../host/plan/apply.ts';
import type { StepState } from '../host/plan/step-states.ts';
import type { HostPart } from './delta.ts';
import {
  CHANGING_CALLS,
  type Channel,
  type FromHostThread,
  type HostCall,
  type HostCalls,
  type ReadProgress,
  type ToHostThread,
} from './protocol.ts';
import type { HostUsage } from './usage.ts';

export type OnProgress = (steps: readonly StepState[], waiting: StepWaiting | null) => void;

type Waiting = {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
  readonly onProgress: OnProgress;
};

/** The UI's interface to the host thread. */
export class HostClient {
  readonly #channel: Channel;
  readonly #waiting = new Map<number, Waiting>();
  #parts: HostPart[] = [];
  #calls = 0;
  #lost: string | null = null;
  #changing: Promise<unknown> = Promise.resolve();
  /** Called with the changes since the last call, after each read; empty if nothing changed. */
  onRead: (parts: readonly HostPart[]) => void = () => {};
  /** Called during the first read, after `onRead` with the functions read so far; with null at its end. */
  onReading: (progress: ReadProgress | null) => void = () => {};
  onUsage: (usage: HostUsage) => void = () => {};

  constructor(channel: Channel) {
    this.#channel = channel;
    channel.on('message', (message: FromHostThread) => this.#receive(message));
  }

  watch(on: boolean): void {
    this.#send({ kind: 'watch', on });
  }

  /** Sets the interval in milliseconds at which usage is sampled; null stops it. */
  usage(intervalMs: number | null): void {
    this.#send({ kind: 'usage', intervalMs });
  }

  refresh(): void {
    this.#send({ kind: 'refresh' });
  }

  /** @throws the thread's error, as a sentence */
  call<Call extends HostCall>(
    call: Call,
    argument: HostCalls[Call]['argument'],
    onProgress: OnProgress = () => {},
  ): Promise<HostCalls[Call]['result']> {
    if (this.#lost !== null) return Promise.reject(new Error(this.#lost));
    const id = ++this.#calls;
    this.#send({ kind: 'call', id, call, argument });
    const answer = new Promise<HostCalls[Call]['result']>((resolve, reject) =>
      this.#waiting.set(id, { resolve, reject, onProgress }),
    );
    if (CHANGING_CALLS.includes(call)) this.#changing = answer.catch(() => {});
    return answer;
  }

  /** Resolves once no change of the host is in progress. */
  async idle(): Promise<void> {
    await this.#changing;
  }

  /** The thread has ended: fail all outstanding calls. */
  lost(reason: string): void {
    this.#lost = reason;
    for (const { reject } of this.#waiting.values()) reject(new Error(reason));
    this.#waiting.clear();
  }

  #receive(message: FromHostThread): void {
    switch (message.kind) {
      case 'part':
        this.#parts.push(message.part);
        break;
      case 'reading':
        this.onRead(this.#parts.splice(0));
        this.onReading(message.progress);
        break;
      case 'usage':
        this.onUsage(message.usage);
        break;
      case 'read':
        this.onRead(this.#parts.splice(0));
        this.onReading(null);
        break;
      case 'progress':
        this.#waiting.get(message.id)?.onProgress(message.steps, message.waiting);
        break;
      case 'answer':
        this.#settle(message.id)?.resolve(message.result as never);
        break;
      case 'failure':
        this.#settle(message.id)?.reject(new Error(message.message));
        break;
    }
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #send(message: ToHostThread): void {
    this.#channel.postMessage(message);
  }
}
