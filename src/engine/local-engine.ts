import { type MachineConfigInput, parseMachineConfig } from '../vmm/config.ts';
import type { Engine, EngineEvent, ThreadTimes, VmInfo } from './engine.ts';
import { MachineWorker } from './machine-worker.ts';
import { Vm } from './vm.ts';

const WARM_AFTER_MS = 1000;

/** Runs VMs in this process: a machine thread for each. */
export class LocalEngine implements Engine {
  readonly #vms = new Map<string, Vm>();
  readonly #listeners = new Set<(event: EngineEvent) => void>();
  #nextId = 1;
  #warming: NodeJS.Timeout | undefined;

  constructor() {
    MachineWorker.warm();
    process.on('exit', this.#abandonAll);
  }

  vms(): readonly VmInfo[] {
    return Array.from(this.#vms.values(), vm => vm.info);
  }

  async start(input: MachineConfigInput): Promise<string> {
    const config = parseMachineConfig(input);
    const taken = this.vms().find(vm => vm.name === config.name);
    if (taken) throw new Error(`a VM named ${config.name} is ${taken.state} already: choose another name`);
    const id = `vm${this.#nextId++}`;
    const vm = new Vm(id, config, {
      changed: vm => this.#emit({ kind: 'vm', vm: vm.info }),
      console: (vm, bytes) => this.#emit({ kind: 'console', id: vm.id, bytes }),
    });
    this.#vms.set(id, vm);
    try {
      await vm.start();
    } catch (error) {
      // It never ran: its error is all there is to know of it.
      await this.remove(id);
      throw error;
    }
    this.#warmLater();
    return id;
  }

  pause = (id: string): Promise<void> => this.#vm(id).command('pause');
  resume = (id: string): Promise<void> => this.#vm(id).command('resume');
  reset = (id: string): Promise<void> => this.#vm(id).command('reset');
  powerButton = (id: string): Promise<void> => this.#vm(id).command('power-button');
  kill = (id: string): Promise<void> => this.#vm(id).kill();
  restart = (id: string): Promise<void> => this.#vm(id).start();

  async remove(id: string): Promise<void> {
    const vm = this.#vm(id);
    if (vm.alive) throw new Error(`${vm.config.name} is ${vm.info.state}: end it before removing it`);
    this.#vms.delete(id);
    this.#emit({ kind: 'removed', id });
  }

  counters(id: string): BigUint64Array | null {
    return this.#vm(id).counters;
  }

  threadTimes(id: string): readonly ThreadTimes[] {
    return this.#vm(id).threadTimes;
  }

  type(id: string, bytes: Uint8Array): void {
    this.#vm(id).type(bytes);
  }

  scrollback(id: string): Uint8Array {
    return this.#vm(id).scrollback;
  }

  subscribe(listener: (event: EngineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#vms.values(), vm => vm.kill()));
    clearTimeout(this.#warming);
    await MachineWorker.cool();
    process.off('exit', this.#abandonAll);
  }

  /** The process exits with VMs still there: by an exception that nobody caught, or without `close`. */
  readonly #abandonAll = () => {
    for (const vm of this.#vms.values()) vm.abandon();
  };

  /** Has a thread ready for the next VM, once this one is past its start: that is when both cores are wanted. */
  #warmLater(): void {
    clearTimeout(this.#warming);
    this.#warming = setTimeout(() => MachineWorker.warm(), WARM_AFTER_MS).unref();
  }

  #vm(id: string): Vm {
    const vm = this.#vms.get(id);
    if (vm === undefined) throw new Error(`there is no VM ${id}`);
    return vm;
  }

  #emit(event: EngineEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
