import { closeSync, openSync, writeSync } from 'node:fs';
import { StreamError, type StreamItem } from '../../vmm/migration/stream.ts';
import * as libc from '../../vmm/native/libc.ts';
import { MAX_STATE_BYTES } from '../../vmm/snapshot/state-codec.ts';
import type { Engine } from '../engine.ts';
import { type FromDestination, MigrationError, parseFromSource } from './messages.ts';
import type { Arrival, ReceivingMemory } from './migration-info.ts';

/**
 * Receives a VM for a manager, in a process of its own: it takes apart what another host sends, which is not trusted,
 * and writes memory to where the manager will find it.
 */
export class Receiver {
  readonly #engine: Pick<Engine, 'receive'>;
  readonly #answer: (message: FromDestination) => Promise<void>;
  #arrival: Arrival | null = null;
  #memory: Memory | null = null;
  #isLoaded = false;
  #mayRun = false;
  #isDone = false;

  constructor(engine: Pick<Engine, 'receive'>, answer: (message: FromDestination) => Promise<void>) {
    this.#engine = engine;
    this.#answer = answer;
  }

  /** Whether the VM runs here. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Whether it may run here: an error is then no reason for the other host to go on. */
  get mayRun(): boolean {
    return this.#mayRun;
  }

  /** Takes the next part of the stream. @throws why the VM cannot be received */
  async take(item: StreamItem): Promise<void> {
    if (item.kind === 'message') await this.#message(item.message);
    else if (this.#memory === null || this.#isLoaded) throw new StreamError('sent memory out of order');
    else this.#memory.write(item);
  }

  close(): void {
    this.#memory?.close();
    this.#memory = null;
  }

  /** Resolves once nothing of the VM is left here. */
  async giveUp(reason: string): Promise<void> {
    await this.#arrival?.close(reason).catch(() => {});
  }

  async #message(value: unknown): Promise<void> {
    const message = parseFromSource(value);
    switch (message.kind) {
      case 'offer': {
        if (this.#arrival !== null) throw new MigrationError('the other host sent a message out of order');
        const { kind: _, format: __, ...offer } = message;
        this.#arrival = await this.#engine.receive(offer);
        this.#memory = new Memory(this.#arrival.memory);
        await this.#answer({ kind: 'accepted' });
        break;
      }
      case 'load': {
        if (this.#arrival === null || this.#isLoaded)
          throw new MigrationError('the other host sent a message out of order');
        const { kind: _, ...load } = message;
        this.#isLoaded = true;
        this.close();
        await this.#arrival.load(load);
        await this.#answer({ kind: 'loaded' });
        break;
      }
      case 'go':
        if (this.#arrival === null || !this.#isLoaded || this.#isDone)
          throw new MigrationError('the other host sent a message out of order');
        await this.#go(this.#arrival);
        break;
      case 'failed':
        throw new MigrationError(message.reason);
    }
  }

  /** If it is not known whether it runs, the other host is told nothing. */
  async #go(arrival: Arrival): Promise<void> {
    this.#mayRun = true;
    const reason = await arrival.go();
    this.#mayRun = reason === null;
    if (reason !== null) throw new MigrationError(reason);
    this.#isDone = true;
    await this.#answer({ kind: 'running' });
  }
}

/** The memory of a manager that a VM arrives in. */
class Memory {
  readonly #bytes: number;
  readonly #address: bigint;
  readonly #ram: Uint8Array;
  readonly #state: number;
  #stateBytes = 0;

  /** @throws if it cannot be opened or mapped */
  constructor({ pid, ram, ramBytes, state }: ReceivingMemory) {
    this.#bytes = ramBytes;
    const ramFd = openSync(`/proc/${pid}/fd/${ram}`, 'r+');
    try {
      this.#address = libc.mmap(ramBytes, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED, ramFd);
    } finally {
      closeSync(ramFd);
    }
    libc.madvise(this.#address, ramBytes, libc.MADV_DONTDUMP);
    this.#ram = new Uint8Array(libc.viewOf(this.#address, ramBytes));
    this.#state = openSync(`/proc/${pid}/fd/${state}`, 'r+');
  }

  /** @throws StreamError if it does not fit */
  write(item: Exclude<StreamItem, { kind: 'message' }>): void {
    switch (item.kind) {
      case 'state':
        this.#writeState(item.offset, item.bytes);
        break;
      case 'pages':
        this.#check(item.offset, item.bytes.length);
        this.#ram.set(item.bytes, item.offset);
        break;
      case 'zeros':
        this.#check(item.offset, item.length);
        this.#ram.fill(0, item.offset, item.offset + item.length);
    }
  }

  close(): void {
    libc.munmap(this.#address, this.#bytes);
    closeSync(this.#state);
  }

  #check(offset: number, length: number): void {
    if (offset + length > this.#bytes) throw new StreamError(`sent memory at ${offset}, beyond the VM's`);
  }

  #writeState(offset: number, bytes: Uint8Array): void {
    if (offset !== this.#stateBytes || offset + bytes.length > MAX_STATE_BYTES)
      throw new StreamError(`sent a state that is too long, or not in order`);
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#state, bytes, done);
    this.#stateBytes += bytes.length;
  }
}
