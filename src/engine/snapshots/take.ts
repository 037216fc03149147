import { version } from '../../project-root.ts';
import type { DiskLabel, WrittenSnapshot } from '../../vmm/machine/messages.ts';
import { FORMAT, type Manifest, type SavedDisk } from '../../vmm/snapshot/manifest.ts';
import { parseDisks, parseWritten } from '../machines/machine-messages.ts';
import type { Vm } from '../vm.ts';
import type { Finished, NewSnapshot } from './new-snapshot.ts';
import type { SnapshotStore } from './store.ts';

export type TakeOptions = {
  /** Null to save the VM, which then ends. */
  readonly name: string | null;
  /** Copy its writable disks. */
  readonly disks: boolean;
  /** It is saved by a manager that is ending. */
  readonly automatic?: boolean;
  /** The text of its definition; null if it has none. */
  readonly definition: string | null;
  readonly signal: AbortSignal;
};

/**
 * Writes a snapshot of a running or paused VM, and resumes it; or saves the VM, and leaves its machine stopped.
 * @throws with a sentence, with the VM as it was before
 */
export async function takeSnapshot(vm: Vm, store: SnapshotStore, options: TakeOptions): Promise<void> {
  const { name, disks, signal } = options;
  const saves = name === null;
  const paused = vm.info.state === 'paused';
  const there = parseDisks(await vm.command('disks', {}));
  refuseTransient(there);
  const copied = disks ? writableDisks(there) : [];
  signal.throwIfAborted();
  const { config } = vm;
  const ramBytes = config!.memory.bytes;
  const files = store.create(
    vm.name,
    name,
    copied.map(index => there[index]!),
    ramBytes,
  );
  const cancel = () => void vm.command('end-snapshot', {}).catch(() => {});
  signal.addEventListener('abort', cancel);
  try {
    const answer = await vm.commandWithFds('snapshot', { disks: copied, hold: saves }, files.fds);
    const written = parseWritten(answer);
    const finished = await finish(vm, files, written, copied);
    signal.throwIfAborted();
    await files.commit(manifestOf(vm, store, { ...options, paused, copied, written, finished, ramBytes }));
  } catch (error) {
    await files.discard();
    if (saves) cancel();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
  if (name !== null) store.setCurrent(vm.name, name);
}

async function finish(
  vm: Vm,
  files: NewSnapshot,
  written: WrittenSnapshot,
  copied: readonly number[],
): Promise<Finished> {
  if (vm.task !== null) vm.task = { ...vm.task, phase: 'syncing', waitingFor: [] };
  const sizes = copied.map(index => written.disks[index]?.size ?? 0);
  return await files.finish(written.stateBytes, written.written, written.cloned, sizes);
}

/** @throws when guest data is in a file that could not be opened later */
function refuseTransient(disks: readonly DiskLabel[]): void {
  const disk = disks.find(({ transient }) => transient);
  if (disk === undefined) return;
  const why = disk.readonly
    ? 'made of a folder whenever the VM starts: the folder may have changed by the time a snapshot is restored'
    : 'transient: data written to it is lost when the VM ends, so a snapshot would lack it';
  throw new Error(`its disk ${disk.path} is ${why}`);
}

/** By index. @throws when one of them is not a file that can be copied */
function writableDisks(disks: readonly DiskLabel[]): number[] {
  const device = disks.find(({ readonly, isBlockDevice }) => !readonly && isBlockDevice);
  if (device !== undefined)
    throw new Error(
      `its disk ${device.path} is a block device, which cannot be copied: take the snapshot without --disks, and snapshot the device with its own tools`,
    );
  return disks.flatMap(({ readonly }, index) => (readonly ? [] : [index]));
}

type Parts = TakeOptions & {
  readonly paused: boolean;
  readonly copied: readonly number[];
  readonly written: WrittenSnapshot;
  readonly finished: Finished;
  readonly ramBytes: number;
};

function manifestOf(vm: Vm, store: SnapshotStore, parts: Parts): Manifest {
  const { name, automatic = false, definition, paused, copied, written, finished, ramBytes } = parts;
  return {
    format: FORMAT,
    vring: version(),
    vm: vm.name,
    name: name ?? 'saved',
    kind: name === null ? 'save' : 'snapshot',
    automatic,
    createdAt: Date.now(),
    parent: store.current(vm.name),
    paused,
    config: vm.devices!.configAt(written.places),
    definition,
    cpu: { vendor: written.cpu.vendor, features: [...written.cpu.features] },
    state: finished.state,
    ram: { bytes: ramBytes, ...finished.ram },
    disks: written.disks.map(
      ({ path, readonly, isBlockDevice, size, identity, backing }, index): SavedDisk => ({
        path,
        readonly,
        isBlockDevice,
        size,
        identity,
        ...(backing && { backing: backing.map(each => ({ ...each })) }),
        copy: finished.copies[copied.indexOf(index)] ?? null,
      }),
    ),
  };
}
