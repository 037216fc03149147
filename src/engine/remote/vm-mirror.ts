import { own } from '../../text/own.ts';
import type { EngineEvent, LogEntry, VmInfo } from '../vm-info.ts';
import { applyDelta, type Json } from './delta.ts';
import type { ManagerNotifications } from './protocol.ts';

const LOG_ENTRIES = 1000;

type Vms = Readonly<Record<string, VmInfo>>;

/** A copy of the manager's VMs and its log. */
export class VmMirror {
  #vms: Vms = {};
  #log: readonly LogEntry[] = [];
  readonly #emit: (event: EngineEvent) => void;

  constructor(emit: (event: EngineEvent) => void) {
    this.#emit = emit;
  }

  get vms(): readonly VmInfo[] {
    return Object.values(this.#vms);
  }

  get log(): readonly LogEntry[] {
    return this.#log;
  }

  has(id: string): boolean {
    return Object.hasOwn(this.#vms, id);
  }

  /** @param sameManager as before: the earlier entries of its log are known already */
  receivedWhole({ vms, log }: ManagerNotifications['whole'], sameManager: boolean): void {
    const last = sameManager ? (this.#log.at(-1)?.number ?? 0) : 0;
    this.#log = log;
    this.#become(vms);
    if (last > 0) this.#emit({ kind: 'log-rewritten' });
    for (const entry of log) if (entry.number > last) this.#emit({ kind: 'log', entry });
  }

  /** @throws DeltaError when it doesn't fit the previous state */
  receivedChange({ vms, log = [] }: ManagerNotifications['changed']): void {
    if (vms !== undefined) this.#become(applyDelta(this.#vms as unknown as Json, vms) as unknown as Vms);
    this.#log = [...this.#log, ...log].slice(-LOG_ENTRIES);
    for (const entry of log) this.#emit({ kind: 'log', entry });
  }

  #become(vms: Vms): void {
    const before = this.#vms;
    this.#vms = vms;
    for (const id of Object.keys(before)) if (!this.has(id)) this.#emit({ kind: 'removed', id });
    for (const id of Object.keys(vms))
      if (vms[id] !== own(before, id)) this.#emit({ kind: 'vm', vm: vms[id]! });
  }
}
