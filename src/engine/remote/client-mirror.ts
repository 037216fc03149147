import type { Engine, EngineEvent, LogEntry, VmInfo } from '../engine.ts';
import { applyDelta, deltaOf, type JsonObject } from './delta.ts';
import type { Outlet } from './outlet.ts';

/** What one client knows of the VMs and the log, and how it hears of changes. */
export class ClientMirror {
  readonly #engine: Engine;
  readonly #outlet: Outlet;
  /** As the client has it: built by the same deltas, so that the keys are in the same order. */
  #sent: JsonObject = {};
  #lastEntry = 0;
  /** By id, as they are now; null for one that is gone. */
  readonly #changed = new Map<string, VmInfo | null>();
  #newEntries = false;
  #begun = false;
  #scheduled = false;

  constructor(engine: Engine, outlet: Outlet) {
    this.#engine = engine;
    this.#outlet = outlet;
  }

  get begun(): boolean {
    return this.#begun;
  }

  /** Tells the whole; `changed` is listened to from then on. */
  begin(): void {
    const vms = Object.fromEntries(this.#engine.vms().map(vm => [vm.id, vm]));
    const log = this.#engine.log();
    this.#begun = true;
    this.#changed.clear();
    this.#newEntries = false;
    this.#sent = vms as unknown as JsonObject;
    this.#lastEntry = log.at(-1)?.number ?? 0;
    this.#outlet.send('whole', { vms, log });
  }

  changed(event: EngineEvent): void {
    if (!this.#begun || event.kind === 'link') return;
    if (event.kind === 'vm') this.#changed.set(event.vm.id, event.vm);
    if (event.kind === 'removed') this.#changed.set(event.id, null);
    if (event.kind === 'log') this.#newEntries = true;
    // What happens at once is told at once.
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** Tells what has changed since the last time, unless the client is behind with reading. */
  flush(): void {
    if (!this.#begun || this.#outlet.congested) return;
    const vms = this.#vmsDelta();
    const log = this.#entries();
    if (vms === undefined && log.length === 0) return;
    this.#outlet.send('changed', { ...(vms !== undefined && { vms }), ...(log.length > 0 && { log }) });
  }

  #vmsDelta() {
    if (this.#changed.size === 0) return undefined;
    const after: Record<string, unknown> = { ...this.#sent };
    for (const [id, vm] of this.#changed) {
      if (vm === null) delete after[id];
      else after[id] = vm;
    }
    this.#changed.clear();
    const delta = deltaOf(this.#sent, after as JsonObject);
    if (delta !== undefined) this.#sent = applyDelta(this.#sent, delta) as JsonObject;
    return delta;
  }

  #entries(): readonly LogEntry[] {
    if (!this.#newEntries) return [];
    this.#newEntries = false;
    const entries = this.#engine.log().filter(entry => entry.number > this.#lastEntry);
    this.#lastEntry = entries.at(-1)?.number ?? this.#lastEntry;
    return entries;
  }
}
