import type { Definitions } from './definitions.ts';
import { EventLog } from './event-log.ts';
import { Vm } from './vm.ts';
import type { EngineEvent, LogEntry, VmInfo } from './vm-info.ts';

/** The callbacks of the list to its engine. */
export type VmListHost = {
  readonly definitions: Definitions;
  /** Gives back the host resources of a VM that has ended; null if there were none. */
  giveBack(vm: Vm): Promise<void> | null;
  /** A listed VM has changed, and subscribers have been notified. @param before as they last saw it */
  changed(vm: Vm, before: VmInfo | null): void;
  /** A VM was added because it has a definition. */
  defined(name: string): void;
};

/** The VMs of an engine by name, their log, and the subscribers to both. */
export class VmList {
  readonly #host: VmListHost;
  readonly #vms = new Map<string, Vm>();
  /** Each VM as subscribers last saw it. */
  readonly #reported = new Map<string, VmInfo>();
  readonly #subscribers = new Set<(event: EngineEvent) => void>();
  readonly #log = new EventLog(entry => this.#emit({ kind: 'log', entry }));

  constructor(host: VmListHost) {
    this.#host = host;
  }

  [Symbol.iterator](): Iterator<Vm> {
    return this.#vms.values();
  }

  /** Sorted by name. */
  get infos(): readonly VmInfo[] {
    return Array.from(this.#vms.values(), vm => vm.info).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  get(name: string): Vm | undefined {
    return this.#vms.get(name);
  }

  /** @throws when there is none of this name */
  require(name: string): Vm {
    const vm = this.#vms.get(name);
    if (vm === undefined) throw new Error(`there is no VM ${name}`);
    return vm;
  }

  /** The VM of this name, which may be new. */
  getOrAdd(name: string): Vm {
    return this.#vms.get(name) ?? this.#add(name);
  }

  /** A VM without a definition, new or started before. @throws when the name is taken */
  addUndefined(name: string): Vm {
    const taken = this.#vms.get(name);
    if (taken === undefined) return this.#add(name);
    if (taken.alive)
      throw new Error(`a VM named ${name} is ${taken.info.state} already: choose another name`);
    if (taken.defined !== null)
      throw new Error(`there is a definition of ${name}: start that VM, or choose another name`);
    taken.clearScrollback();
    return taken;
  }

  /** Does nothing for a VM that is no longer listed. */
  forget(vm: Vm): void {
    if (!this.#has(vm)) return;
    this.#vms.delete(vm.name);
    this.#reported.delete(vm.name);
    this.#emit({ kind: 'removed', id: vm.name });
  }

  /** Its past log entries get the new name, too. */
  rename(vm: Vm, name: string): void {
    const { name: before } = vm;
    this.forget(vm);
    vm.rename(name);
    this.#vms.set(name, vm);
    // A crash under the old name is not reported again.
    this.#reported.set(name, vm.info);
    this.#log.rename(before, name);
    this.#emit({ kind: 'log-rewritten' });
    this.followDefinitions();
    this.#changed(vm);
  }

  /** Updates the list: every defined VM, and those that run without, or outlive, a definition. */
  followDefinitions(): void {
    const defined = new Map(this.#host.definitions.list().map(one => [one.name, one]));
    for (const [name, one] of defined) {
      const isKnown = this.#vms.has(name);
      this.getOrAdd(name).define(one);
      if (!isKnown) this.#host.defined(name);
    }
    for (const vm of [...this.#vms.values()]) {
      if (vm.defined === null || defined.has(vm.name)) continue;
      if (vm.alive) vm.define(null);
      else this.forget(vm);
    }
  }

  /** The last entries, oldest first. */
  get log(): readonly LogEntry[] {
    return this.#log.entries;
  }

  /** Adds to the log. An entry about a running VM is kept by its machine too, which may outlive this process. */
  note(level: LogEntry['level'], text: string, vm: string | null = null): void {
    this.#log.add(level, vm, text);
    if (vm !== null) this.#vms.get(vm)?.remember({ at: Date.now(), level, text });
  }

  subscribe(subscriber: (event: EngineEvent) => void): () => void {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  #add(name: string): Vm {
    const vm = new Vm(name, {
      changed: vm => this.#changed(vm),
      happened: (vm, { at, level, text }) => this.#log.add(level, vm.name, text, at),
      giveBack: vm => this.#host.giveBack(vm),
    });
    this.#vms.set(name, vm);
    return vm;
  }

  #has(vm: Vm): boolean {
    return this.#vms.get(vm.name) === vm;
  }

  #changed(vm: Vm): void {
    // The console's watcher may release the keyboard of a VM that was removed.
    if (!this.#has(vm)) return;
    const { info } = vm;
    const before = this.#reported.get(vm.name) ?? null;
    this.#reported.set(vm.name, info);
    this.#emit({ kind: 'vm', vm: info });
    this.#host.changed(vm, before);
  }

  #emit(event: EngineEvent): void {
    for (const subscriber of this.#subscribers) subscriber(event);
  }
}
