import fs from 'node:fs';
import { join } from 'node:path';
import { featuresHere } from '../../vmm/cpu/host-cpu.ts';
import { identify } from '../../vmm/snapshot/file-identity.ts';
import { FILES } from '../../vmm/snapshot/files.ts';
import { type Fit, fitOf, type Surroundings } from '../../vmm/snapshot/fit.ts';
import type { Manifest } from '../../vmm/snapshot/manifest.ts';
import { type FileJobOptions, sumsOf, verifyFiles } from './file-job.ts';
import { sha256, sumsBytes } from './new-snapshot.ts';
import type { SnapshotInfo } from './snapshot-info.ts';
import type { SnapshotStore, Stored } from './store.ts';

/** A snapshot's files and the host files it depends on. */
export function surroundingsOf(folder: string): Surroundings {
  const at = (name: string) => identify(join(folder, name));
  return {
    state: at(FILES.state),
    ram: at(FILES.ram),
    ramSums: at(FILES.ramSums),
    disk: identify,
    copy: at,
    exists: fs.existsSync,
    cpu: featuresHere(),
  };
}

/** Whether a snapshot can be restored on this host now. */
export function inspect({ folder }: Stored, manifest: Manifest, copies = true): Fit {
  return fitOf(manifest, surroundingsOf(folder), copies);
}

/** The state of a snapshot, verified. @throws when it is damaged */
export function readState(folder: string, { state }: Manifest): Uint8Array {
  const bytes = fs.readFileSync(join(folder, FILES.state));
  if (bytes.length !== state.bytes || sha256(bytes) !== state.sha256)
    throw new Error(`${FILES.state} is damaged or was edited: it has another checksum`);
  return bytes;
}

/**
 * Verifies files against their checksums, and those against the manifest's. @param files their names; the state is
 * always verified. @throws naming the first that is damaged
 */
export async function verify(
  folder: string,
  manifest: Manifest,
  files: readonly string[],
  options: FileJobOptions = {},
): Promise<void> {
  readState(folder, manifest);
  for (const file of files) {
    const [size, sums] =
      file === FILES.ram ? [manifest.ram.bytes, manifest.ram.sums] : sumsOfCopy(manifest, file);
    const bytes = readSums(join(folder, sumsOf(file)), sumsBytes(size));
    if (bytes === null || sha256(bytes) !== sums) throw new Error(`${sumsOf(file)} is damaged or was edited`);
  }
  await verifyFiles(folder, manifest, files, options);
}

function sumsOfCopy({ disks }: Manifest, file: string): readonly [size: number, sums: string | null] {
  const disk = disks.find(({ copy }) => copy?.file === file)!;
  return [disk.size, disk.copy!.sums];
}

/** Null if the file has another size. */
function readSums(path: string, size: number): Uint8Array | null {
  return fs.statSync(path, { throwIfNoEntry: false })?.size === size ? fs.readFileSync(path) : null;
}

/** The files of a snapshot that have a checksum file. */
export function verifiable({ disks }: Manifest): string[] {
  return [
    FILES.ram,
    ...disks.flatMap(({ copy }) => (copy !== null && copy.sums !== null ? [copy.file] : [])),
  ];
}

function disksOf(disks: Manifest['disks']): SnapshotInfo['disks'] {
  if (disks.some(({ copy }) => copy !== null)) return 'copied';
  return disks.some(({ readonly }) => !readonly) ? 'outside' : 'none';
}

/** A snapshot for lists, including damaged ones. */
export function describeSnapshot(store: SnapshotStore, stored: Stored): SnapshotInfo {
  const { vm, name } = stored;
  const bytes = store.usage(stored);
  try {
    const manifest = store.manifest(stored);
    const { createdAt, parent, ram, disks, vring, paused } = manifest;
    const { problems, doubtful } = inspect(stored, manifest);
    return {
      vm,
      name,
      createdAt,
      bytes,
      memoryBytes: ram.bytes,
      parent,
      disks: disksOf(disks),
      paused,
      vring,
      problems,
      doubtful,
      checked: null,
    };
  } catch (error) {
    return {
      vm,
      name,
      createdAt: null,
      bytes,
      memoryBytes: null,
      parent: null,
      disks: 'none',
      paused: false,
      vring: null,
      problems: [(error as Error).message],
      doubtful: [],
      checked: null,
    };
  }
}

/** The same, with every checksum verified. */
export async function checkSnapshot(
  store: SnapshotStore,
  stored: Stored,
  options: FileJobOptions = {},
): Promise<SnapshotInfo> {
  const info = describeSnapshot(store, stored);
  if (info.createdAt === null) return { ...info, checked: 'damaged' };
  const manifest = store.manifest(stored);
  try {
    await verify(stored.folder, manifest, verifiable(manifest), options);
    return { ...info, checked: 'ok' };
  } catch (error) {
    options.signal?.throwIfAborted();
    const { message } = error as Error;
    const problems = info.problems.includes(message) ? info.problems : [...info.problems, message];
    return { ...info, problems, checked: 'damaged' };
  }
}
