import type { Cancel, EventLoop } from '../../src/devices/device.ts';
import { EVENT } from '../../src/vmm/native/abi.ts';
import type { NativeVm } from '../../src/vmm/native/native-vm.ts';
import type { QueueThreads } from '../../src/vmm/native/queue-threads.ts';

/** The events of a VM without vCPUs, which a test waits for. */
export class NativeEvents implements EventLoop {
  readonly #native: NativeVm;
  readonly #queues: QueueThreads;
  readonly #watchers = new Map<number, (count: number) => void>();
  readonly #soon: (() => void)[] = [];
  #next = 1000;

  constructor(native: NativeVm, queues: QueueThreads) {
    this.#native = native;
    this.#queues = queues;
  }

  watch(fd: number, onSignal: (count: number) => void): Cancel {
    const token = this.#next++;
    this.#watchers.set(token, onSignal);
    this.#native.watchEventFd(fd, token);
    return () => {
      this.#watchers.delete(token);
      this.#native.unwatch(fd);
    };
  }

  soon(callback: () => void): void {
    this.#soon.push(callback);
  }

  /** Handles events until `finished`. */
  until(finished: () => boolean): void {
    for (let turns = 0; !finished(); turns++) {
      if (turns > 1_000_000) throw new Error('what is awaited does not come');
      const soon = this.#soon.shift();
      if (soon !== undefined) {
        soon();
        continue;
      }
      const count = this.#native.wait(5_000_000_000n);
      if (count === 0) throw new Error('nothing happens for five seconds');
      for (let event = 0; event < count; event++) this.#handle(event);
    }
  }

  #handle(event: number): void {
    const native = this.#native;
    const index = native.eventIndex(event);
    switch (native.eventKind(event)) {
      case EVENT.fd:
        this.#watchers.get(native.eventToken(event))?.(native.eventAux(event));
        break;
      case EVENT.queueEnded:
        this.#queues.ended(index);
        break;
      case EVENT.diskErrors:
        this.#queues.diskErrors(index);
        break;
      case EVENT.queueBroken:
        this.#queues.broken(index);
        break;
    }
  }
}
