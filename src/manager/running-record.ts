import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import type { InterruptedVm, LocalEngine } from '../engine/local-engine.ts';
import { isAlive } from '../engine/vm-info.ts';
import { replaceFile } from '../files/replace-file.ts';
import { currentBootId } from '../host/process-identity.ts';
import { type MachineConfig, machineConfig } from '../vmm/machine/config.ts';
import { VM_NAME } from '../vmm/machine/vm-name.ts';
import { type FollowedVms, followVms } from './follow-vms.ts';

/** A VM that has just started needs the manager first. */
const WRITE_AFTER_MS = 100;

/** A manager resumes VMs only if it starts soon after the previous one stopped. */
const RESUME_WITHIN_MS = 10 * 60_000;

const name = z.string().regex(VM_NAME.pattern);

/**
 * The VMs that a manager runs, in a file in its state folder: a VM still listed when the next manager starts was not
 * stopped. `config` has VMs without a definition, `interrupted` those that ran in an even earlier manager.
 */
const record = z.strictObject({
  version: z.literal(1),
  pid: z.int(),
  bootId: z.string(),
  vms: z.array(
    z.strictObject({ name, config: z.unknown().optional(), interrupted: z.string().max(1000).optional() }),
  ),
  /** VMs to restart, and when they were stopped. */
  resume: z
    .strictObject({
      at: z.number(),
      vms: z.array(z.strictObject({ name, config: z.unknown().optional() })),
    })
    .optional(),
});

type RecordFile = z.output<typeof record>;

/** What the previous manager left behind. */
export type LastRun = {
  readonly interrupted: readonly InterruptedVm[];
  readonly resume: readonly { readonly name: string; readonly config: MachineConfig | null }[];
  /** Why the file could not be read; null if it was, or there was none. */
  readonly problem: string | null;
};

const NOTHING: LastRun = { interrupted: [], resume: [], problem: null };

export function readLastRun(folder: string, bootId = currentBootId()): LastRun {
  const path = pathIn(folder);
  let file: RecordFile;
  try {
    file = record.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return NOTHING;
    return {
      ...NOTHING,
      problem: `${path} is damaged, so it is not known whether VMs ended with the last manager: see the log before this line`,
    };
  }
  const what =
    file.bootId === bootId
      ? `its process and its manager (process ${file.pid}) died`
      : 'the host went down without shutting it down';
  const resumes = file.resume !== undefined && Date.now() - file.resume.at < RESUME_WITHIN_MS;
  return {
    interrupted: file.vms.map(vm => ({
      name: vm.name,
      reason: vm.interrupted ?? `it ended unexpectedly: ${what}`,
      config: configOf(vm.config),
    })),
    resume: resumes ? file.resume!.vms.map(vm => ({ name: vm.name, config: configOf(vm.config) })) : [],
    problem: null,
  };
}

/**
 * Has the next manager start VMs that ran in a manager that could not be asked to record this itself.
 * @param before read while they ran: it has those without a definition
 */
export function resumeInNext(folder: string, names: readonly string[], before: LastRun): void {
  const configs = new Map(before.interrupted.map(vm => [vm.name, vm.config]));
  const vms = names.map(name => {
    const config = configs.get(name) ?? null;
    return { name, ...(config !== null && { config }) };
  });
  const left = readLastRun(folder).interrupted.filter(vm => !names.includes(vm.name));
  const file: RecordFile = {
    version: 1,
    pid: process.pid,
    bootId: currentBootId(),
    vms: left.map(({ name, reason, config }) => ({
      name,
      interrupted: reason,
      ...(config !== null && { config }),
    })),
    resume: { at: Date.now(), vms },
  };
  replaceFile(pathIn(folder), `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600, fresh: true });
}

/** Null also for a configuration that this version does not accept. */
function configOf(config: unknown): MachineConfig | null {
  return config === undefined ? null : (machineConfig.safeParse(config).data ?? null);
}

/** Keeps the file up to date while a manager runs. */
export class RunningRecord {
  readonly #path: string;
  readonly #engine: LocalEngine;
  readonly #failed: (error: Error) => void;
  readonly #followed: FollowedVms;
  #written = '';
  #isFailing = false;
  #resume: RecordFile['resume'];
  #soon: NodeJS.Timeout | null = null;

  /** @param failed called when the file cannot be written: once, and again if it fails after a success */
  constructor(folder: string, engine: LocalEngine, failed: (error: Error) => void) {
    this.#path = pathIn(folder);
    this.#engine = engine;
    this.#failed = failed;
    this.#followed = followVms(
      engine,
      vm => isAlive(vm) || vm.interrupted === true,
      vm => {
        if (vm !== null && isAlive(vm)) this.#writeSoon();
        else this.#write();
      },
    );
    this.#write();
  }

  /** Has the next manager start the VMs that run now. */
  resumeLater(): void {
    const vms = this.#engine.vms().filter(isAlive);
    this.#resume = { at: Date.now(), vms: vms.map(({ id, name }) => ({ name, ...this.#config(id) })) };
    this.#write();
  }

  /** The VMs keep running without this manager: they stay in the record. */
  detach(): void {
    if (this.#soon !== null) this.#write();
    this.#followed.stop();
  }

  /** Called during an orderly shutdown, once all VMs are off. */
  close(): void {
    if (this.#resume !== undefined) this.#resume = { ...this.#resume, at: Date.now() };
    this.#write();
    this.#followed.stop();
  }

  #writeSoon(): void {
    this.#soon ??= setTimeout(() => this.#write(), WRITE_AFTER_MS).unref();
  }

  #write(): void {
    if (this.#soon !== null) clearTimeout(this.#soon);
    this.#soon = null;
    const vms = [...this.#followed.vms.values()]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ id, name, interrupted, reason }) => ({
        name,
        ...this.#config(id),
        ...(interrupted && { interrupted: reason ?? '' }),
      }));
    const file: RecordFile = {
      version: 1,
      pid: process.pid,
      bootId: currentBootId(),
      vms,
      ...(this.#resume && { resume: this.#resume }),
    };
    const empty = vms.length === 0 && this.#resume === undefined;
    const text = empty ? '' : `${JSON.stringify(file, null, 2)}\n`;
    if (text === this.#written) return;
    try {
      if (empty) rmSync(this.#path, { force: true });
      else replaceFile(this.#path, text, { mode: 0o600, fresh: true });
      this.#written = text;
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#failed(error as Error);
      this.#isFailing = true;
    }
  }

  #config(id: string): { config?: MachineConfig } {
    const config = this.#engine.configWithoutDefinition(id);
    return config === null ? {} : { config };
  }
}

function pathIn(folder: string): string {
  return join(folder, 'running.json');
}
