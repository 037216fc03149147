import type { Engine } from '../engine.ts';
import type { EngineEvent, LogEntry, VmInfo } from '../vm-info.ts';
import { applyDelta, deltaOf, type JsonObject } from './delta.ts';
import type { Sink } from './sink.ts';

/** Tracks what one client knows of the VMs and the log, and sends it the changes. */
export class ClientMirror {
  readonly #engine: Engine;
  readonly #sink: Sink;
  /** The state as the client has it: built by the same deltas, so that the keys are in the same order. */
  #sent: JsonObject = {};
  #lastEntry = 0;
  /** By id, in their present state. */
  readonly #changed = new Map<string, VmInfo>();
  /** VMs that have been removed; a new one with the same name may exist. */
  readonly #removed = new Set<string>();
  #newEntries = false;
  /** The client's copy of the log is outdated. */
  #rewritten = false;
  #begun = false;
  #scheduled = false;

  constructor(engine: Engine, sink: Sink) {
    this.#engine = engine;
    this.#sink = sink;
  }

  get begun(): boolean {
    return this.#begun;
  }

  /** Sends the whole state, and changes from then on. */
  begin(): void {
    const vms = Object.fromEntries(this.#engine.vms().map(vm => [vm.id, vm]));
    const log = this.#engine.log();
    this.#begun = true;
    this.#changed.clear();
    this.#removed.clear();
    this.#newEntries = false;
    this.#rewritten = false;
    this.#sent = vms as unknown as JsonObject;
    this.#lastEntry = log.at(-1)?.number ?? 0;
    this.#sink.send('whole', { vms, log });
  }

  changed(event: EngineEvent): void {
    if (!this.#begun || event.kind === 'link') return;
    if (event.kind === 'vm') this.#changed.set(event.vm.id, event.vm);
    if (event.kind === 'removed') {
      this.#changed.delete(event.id);
      this.#removed.add(event.id);
    }
    if (event.kind === 'log') this.#newEntries = true;
    if (event.kind === 'log-rewritten') this.#rewritten = true;
    // Changes in the same turn are sent together.
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** Sends what has changed since the last time, unless the client is behind with reading. */
  flush(): void {
    if (!this.#begun || this.#sink.congested) return;
    if (this.#rewritten) {
      this.begin();
      return;
    }
    // A client may still have the first one's console open: it must learn that this VM is gone.
    const replaced = [...this.#removed].some(id => this.#changed.has(id));
    const gone = replaced ? this.#vmsDelta(new Map()) : undefined;
    if (gone !== undefined) this.#sink.send('changed', { vms: gone });
    const vms = this.#vmsDelta(this.#changed);
    this.#changed.clear();
    const log = this.#entries();
    if (vms === undefined && log.length === 0) return;
    this.#sink.send('changed', { ...(vms !== undefined && { vms }), ...(log.length > 0 && { log }) });
  }

  #vmsDelta(changed: ReadonlyMap<string, VmInfo>) {
    if (changed.size + this.#removed.size === 0) return undefined;
    const after: Record<string, unknown> = { ...this.#sent };
    for (const id of this.#removed) delete after[id];
    for (const [id, vm] of changed) after[id] = vm;
    this.#removed.clear();
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
