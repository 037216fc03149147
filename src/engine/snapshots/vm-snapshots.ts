import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { printable } from '../../text/printable.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';
import { VM_NAME } from '../../vmm/machine/vm-name.ts';
import { identify } from '../../vmm/snapshot/file-identity.ts';
import { FILES } from '../../vmm/snapshot/files.ts';
import { type Manifest, ManifestError } from '../../vmm/snapshot/manifest.ts';
import type { Definitions } from '../definitions.ts';
import { refuseHostDevices } from '../host-devices/refusal.ts';
import type { RestoreFiles } from '../machines/machine.ts';
import type { Vm } from '../vm.ts';
import { isUp } from '../vm-info.ts';
import type { VmTasks } from '../vm-tasks.ts';
import { checkSnapshot, describeSnapshot, inspect, readState, verify } from './inspect.ts';
import { restoreDisks } from './restore-disks.ts';
import type { RestoreOptions, SavedState, SnapshotInfo, SnapshotOptions, VmTask } from './snapshot-info.ts';
import type { SnapshotStore, Stored } from './store.ts';
import { takeSnapshot } from './take.ts';

/** The callbacks of snapshots to their engine. */
export type SnapshotHost = {
  readonly definitions: Definitions;
  readonly tasks: VmTasks;
  /** Undefined if there is no VM of this name. */
  vm(name: string): Vm | undefined;
  /** The VM of this name, which may be new. */
  place(name: string): Vm;
  run(vm: Vm, config: MachineConfig, restore: RestoreFiles): Promise<void>;
  /** The definitions on disk have changed. */
  followDefinitions(): void;
  note(level: 'info' | 'warning' | 'error', text: string, vm: string): void;
};

/** Where snapshots are, and the folder for disks of VMs created from them. */
export type SnapshotFolders = { readonly store: SnapshotStore; readonly disks: string };

/** The snapshots and saved states of an engine's VMs. */
export class VmSnapshots {
  readonly #folders: SnapshotFolders | null;
  readonly #host: SnapshotHost;

  /** @param folders null: this engine keeps none */
  constructor(folders: SnapshotFolders | null, host: SnapshotHost) {
    this.#folders = folders;
    this.#host = host;
  }

  get #store(): SnapshotStore {
    if (this.#folders !== null) return this.#folders.store;
    throw new Error('this vring keeps no snapshots: run the VM in the manager, with vring vm start');
  }

  /** Reads what each VM has on disk. */
  load(): void {
    if (this.#folders === null) return;
    for (const name of this.#store.vms) this.refresh(name);
  }

  refresh(name: string): void {
    const vm = this.#folders === null ? undefined : this.#host.vm(name);
    if (vm === undefined) return;
    const snapshots = this.#store.list(name).map(stored => stored.name!);
    vm.setStored({ saved: this.#savedState(name), snapshots });
  }

  async take(vm: Vm, { name = nameOfNow(), disks }: SnapshotOptions): Promise<SnapshotInfo> {
    const store = this.#store;
    requireRunning(vm);
    refuseHostDevices(vm, 'have snapshots taken');
    const definition = this.#definitionOf(vm);
    await this.#during(vm, { kind: 'snapshot', name }, signal =>
      takeSnapshot(vm, store, { name, disks, definition, signal }),
    );
    this.refresh(vm.name);
    this.#host.note('info', `snapshot ${name} taken`, vm.name);
    return describeSnapshot(store, store.find(vm.name, name));
  }

  /** Saves the VM's state and ends it; its next start resumes from there. @param automatic the manager is ending */
  async save(vm: Vm, automatic = false): Promise<void> {
    const store = this.#store;
    requireRunning(vm);
    refuseHostDevices(vm, 'be saved');
    const definition = this.#definitionOf(vm);
    await this.#during(vm, { kind: 'save', name: null }, async signal => {
      await takeSnapshot(vm, store, { name: null, disks: false, automatic, definition, signal });
      try {
        await vm.kill('it was saved');
      } catch (error) {
        // The VM still exists: it must not be started from its saved state later.
        const saved = store.saved(vm.name);
        if (saved !== null) await store.remove(saved);
        throw error;
      }
    });
    this.refresh(vm.name);
  }

  /** @param name of a VM, which may have been deleted; null for all */
  async list(name: string | null, check: boolean): Promise<readonly SnapshotInfo[]> {
    if (this.#folders === null) return [];
    const store = this.#store;
    const names = name === null ? store.vms : [name];
    const stored = names.flatMap(name => {
      const saved = store.saved(name);
      return [...store.list(name), ...(saved === null ? [] : [saved])];
    });
    const infos: SnapshotInfo[] = [];
    for (const each of stored)
      infos.push(check ? await checkSnapshot(store, each) : describeSnapshot(store, each));
    return infos;
  }

  /** @param name null for the VM's saved state */
  async remove(vm: string, name: string | null): Promise<void> {
    const store = this.#store;
    const stored = name === null ? store.saved(vm) : store.find(vm, name);
    if (stored === null) throw new Error(`${vm} has no saved state: vring vm snapshots lists what it has`);
    const present = this.#host.vm(vm);
    if (present !== undefined) this.#host.tasks.refuseOther(present);
    await store.remove(stored);
    this.refresh(vm);
    this.#host.note('info', name === null ? 'saved state discarded' : `snapshot ${name} deleted`, vm);
  }

  /** Resumes a VM from a snapshot. @returns its name */
  async restore(vm: string, name: string, options: RestoreOptions): Promise<string> {
    const { as, force = false } = options;
    const store = this.#store;
    const stored = store.find(vm, name);
    const manifest = this.#fitting(stored, `snapshot ${name} of ${vm}`);
    const target = as ?? vm;
    if (as !== undefined) this.#checkNew(as);
    const present = this.#host.vm(target);
    if (present?.alive && !force)
      throw new Error(
        `${target} is ${present.info.state}: end it first, restore with --force, or into another VM with --as`,
      );
    if (present?.saved && !force)
      throw new Error(
        `${target} has a saved state, which would be lost: start it, restore with --force, or into another VM with --as`,
      );
    if (present?.alive) await present.kill();
    const made = present ?? this.#define(target, manifest, vm);
    await this.#during(made, { kind: 'restore', name }, signal =>
      this.#goOn(made, stored, manifest, as !== undefined, signal),
    );
    if (as === undefined) store.setCurrent(target, name);
    const saved = store.saved(target);
    if (saved !== null) await store.remove(saved);
    this.refresh(target);
    this.#host.note('info', `restored from snapshot ${name}${as === undefined ? '' : ` of ${vm}`}`, target);
    return target;
  }

  /** Starts a VM from its saved state. @throws when the state does not fit; it is then kept */
  async resume(vm: Vm): Promise<void> {
    const store = this.#store;
    const stored = store.saved(vm.name);
    if (stored === null) throw new Error(`${vm.name} has no saved state: start it again`);
    const manifest = this.#fitting(
      stored,
      `the saved state of ${vm.name}`,
      `vring vm start --discard-saved ${vm.name} boots it without`,
    );
    await this.#during(vm, { kind: 'restore', name: null }, signal =>
      this.#goOn(vm, stored, manifest, false, signal),
    );
    await store.remove(stored);
    this.refresh(vm.name);
  }

  /** Moves the snapshots of a renamed VM. @throws when the new name has some already */
  rename(from: string, to: string): void {
    this.#folders?.store.rename(from, to);
  }

  #savedState(name: string): SavedState | null {
    const stored = this.#store.saved(name);
    if (stored === null) return null;
    try {
      const { createdAt, automatic } = this.#store.manifest(stored);
      return { at: createdAt, automatic };
    } catch {
      // Starting it will report what is wrong.
      return { at: 0, automatic: false };
    }
  }

  /** @throws with everything that does not fit */
  #fitting(stored: Stored, what: string, advice?: string): Manifest {
    const end = advice === undefined ? '' : `; ${advice}`;
    let manifest: Manifest;
    try {
      manifest = this.#store.manifest(stored);
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error;
      throw new Error(`${what} cannot be restored: ${error.message}${end}`);
    }
    const { problems } = inspect(stored, manifest);
    if (problems.length === 0) return manifest;
    throw new Error(`${what} does not fit: ${problems.join('; ')}${end}`);
  }

  async #goOn(
    vm: Vm,
    stored: Stored,
    manifest: Manifest,
    asNew: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { folder } = stored;
    const progress = (phase: VmTask['phase']) => (done: number, total: number) => {
      if (vm.task !== null) vm.task = { ...vm.task, phase, done, total };
    };
    const { doubtful } = inspect(stored, manifest);
    if (doubtful.length > 0)
      await verify(folder, manifest, doubtful, { signal, progress: progress('verifying') });
    readState(folder, manifest);
    const target = asNew ? { folder: this.#folders!.disks, vm: vm.name } : null;
    const disks = await restoreDisks(folder, manifest, target, { signal, progress: progress('copying') });
    try {
      signal.throwIfAborted();
      await disks.commit();
    } finally {
      await disks.discard();
    }
    if (asNew) this.#save(vm.name, manifest, disks.paths);
    progress('starting')(0, 0);
    vm.agent.clockStoodStill();
    await this.#start(vm, stored, manifest, disks.paths);
  }

  async #start(
    vm: Vm,
    stored: Stored,
    manifest: Manifest,
    paths: ReadonlyMap<string, string>,
  ): Promise<void> {
    const { config, paused } = manifest;
    const devices = config.devices.map(device =>
      'path' in device && typeof device.path === 'string'
        ? { ...device, path: paths.get(device.path) ?? device.path }
        : device,
    );
    const stateFd = openSync(join(stored.folder, FILES.state), 'r');
    let ramFd: number | null = null;
    try {
      ramFd = openSync(join(stored.folder, FILES.ram), 'r');
      const files = { stateFd, ramFd, paused };
      await this.#host.run(vm, { ...config, name: vm.name, devices } as MachineConfig, files);
    } catch (error) {
      // Opening a disk may have changed its times. No guest has run, so its contents are as saved.
      if (!vm.hasRun) await this.#rememberDisks(stored, manifest);
      throw error;
    } finally {
      closeSync(stateFd);
      if (ramFd !== null) closeSync(ramFd);
    }
  }

  async #rememberDisks(stored: Stored, manifest: Manifest): Promise<void> {
    const disks = manifest.disks.map(disk => ({ ...disk, identity: identify(disk.path) ?? disk.identity }));
    if (JSON.stringify(disks) !== JSON.stringify(manifest.disks))
      await this.#store.rewriteManifest(stored, { ...manifest, disks });
  }

  /** Adds the VM for a snapshot whose own was deleted, or that is being restored under another name. */
  #define(target: string, manifest: Manifest, source: string): Vm {
    if (target === source) this.#save(target, manifest, new Map());
    return this.#host.place(target);
  }

  #save(name: string, manifest: Manifest, disks: ReadonlyMap<string, string>): void {
    const { definition, vm } = manifest;
    if (definition === null) return;
    const { definitions } = this.#host;
    definitions.save(name, definitions.derive(definition, { from: vm, to: name, disks }), { replace: false });
    this.#host.followDefinitions();
  }

  #checkNew(name: string): void {
    if (!VM_NAME.pattern.test(name))
      throw new Error(`"${printable(name)}" cannot be the name of a VM: expected ${VM_NAME.rule}`);
    if (this.#host.vm(name) !== undefined)
      throw new Error(`there is already a VM named ${name}: choose another name`);
    if (existsSync(join(this.#store.root, name)))
      throw new Error(`there are snapshots of a deleted VM ${name}: choose another name`);
  }

  #definitionOf(vm: Vm): string | null {
    return vm.defined === null ? null : this.#host.definitions.text(vm.name);
  }

  async #during(
    vm: Vm,
    { kind, name }: Pick<VmTask, 'kind' | 'name'>,
    run: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const phase = kind === 'restore' ? 'verifying' : 'stopping';
    await this.#host.tasks.during(vm, { kind, name, phase }, run);
  }
}

function requireRunning(vm: Vm): void {
  const { state, reason } = vm.info;
  if (isUp({ state })) return;
  const why = state === 'stuck' ? `: ${reason}` : ', and only one that runs or is paused has a state to keep';
  throw new Error(`${vm.name} is ${state}${why}`);
}

/** `2026-11-29-064205`. */
export function nameOfNow(now = new Date()): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('-');
  return `${day}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
}
