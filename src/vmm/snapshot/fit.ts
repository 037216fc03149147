/** Whether a snapshot can be restored here and now. Pure functions; each problem is a sentence without a full stop. */

import type { CpuFeatures } from '../cpu/cpuid-features.ts';
import { type FileIdentity, isUntouched } from './file-identity.ts';
import { FILES } from './files.ts';
import type { Manifest, SavedDisk } from './manifest.ts';

/** The present state of a snapshot's files and of its host. */
export type Surroundings = {
  readonly state: FileIdentity | null;
  readonly ram: FileIdentity | null;
  readonly ramSums: FileIdentity | null;
  /** By the path in the manifest; null if there is no such file. */
  readonly disk: (path: string) => FileIdentity | null;
  /** By the name below the snapshot's folder. */
  readonly copy: (file: string) => FileIdentity | null;
  /** Files of the kernel. */
  readonly exists: (path: string) => boolean;
  /** What KVM can offer a guest here; null if that is unknown. */
  readonly cpu: CpuFeatures | null;
};

export type Fit = {
  /** Why it cannot be restored; empty if it can. */
  readonly problems: readonly string[];
  /** Files whose checksums must be compared first: they are not the ones that were written, or have changed since. */
  readonly doubtful: readonly string[];
};

/**
 * How a snapshot fits a host.
 * @param copies restore the copies of its disks, if it has them; otherwise use the disks as they are
 */
export function fitOf(manifest: Manifest, here: Surroundings, copies = true): Fit {
  const { ram, disks, config, cpu } = manifest;
  const problems: string[] = [];
  const doubtful: string[] = [];
  problems.push(...fileProblems(FILES.state, manifest.state.bytes, here.state));
  const ofRam = fileProblems(FILES.ram, ram.bytes, here.ram);
  problems.push(...ofRam);
  if (ofRam.length === 0 && !isUntouched(ram.identity, here.ram)) doubtful.push(FILES.ram);
  if (here.ramSums === null) problems.push(`${FILES.ramSums} is missing`);
  if (here.cpu !== null) problems.push(...cpuProblems(cpu, here.cpu));
  for (const file of filesOfBoot(config.boot))
    if (!here.exists(file)) problems.push(`${file} does not exist, which its guest boots from after a reset`);
  for (const disk of disks) {
    problems.push(...backingProblems(disk, here.disk));
    if (disk.copy === null || !copies) problems.push(...diskProblems(disk, here.disk(disk.path)));
    else {
      const now = here.copy(disk.copy.file);
      const ofCopy = fileProblems(disk.copy.file, disk.size, now);
      problems.push(...ofCopy);
      if (ofCopy.length > 0 || isUntouched(disk.copy.identity, now)) continue;
      if (disk.copy.sums !== null) doubtful.push(disk.copy.file);
      else
        problems.push(
          `${disk.copy.file} was changed or copied since, and has no checksums, because it shared its blocks with ${disk.path}`,
        );
    }
  }
  return { problems, doubtful };
}

/** The files that a guest boots from, also after a reset. */
export function filesOfBoot(boot: Manifest['config']['boot']): string[] {
  if (boot.kind === 'firmware') {
    const { path, kernel } = boot;
    return [path, kernel?.path, kernel?.initrd].filter(file => file !== undefined);
  }
  const { path, initrd, modules } = boot;
  return [path, ...(initrd === undefined ? [] : [initrd]), ...modules.map(({ path }) => path)];
}

function fileProblems(file: string, bytes: number, now: FileIdentity | null): string[] {
  if (now === null) return [`${file} is missing`];
  if (now.size < bytes) return [`${file} is truncated: it has ${now.size} of ${bytes} bytes`];
  return now.size > bytes ? [`${file} has ${now.size} bytes, and was written with ${bytes}`] : [];
}

export function cpuProblems(saved: Manifest['cpu'], here: CpuFeatures): string[] {
  if (saved.vendor !== here.vendor)
    return [`its guest runs on a CPU of ${saved.vendor}, and this host has one of ${here.vendor}`];
  const missing = saved.features.filter(feature => !here.features.includes(feature));
  return missing.length === 0 ? [] : [`this host's CPU lacks ${missing.join(', ')}, which its guest uses`];
}

/** A disk that is not in the snapshot must be as the snapshot left it: the guest has parts of it in memory. */
export function diskProblems(disk: SavedDisk, now: FileIdentity | null): string[] {
  const { path, identity } = disk;
  if (now === null) return [`its disk ${path} does not exist`];
  if (!disk.isBlockDevice && now.size !== disk.size)
    return [`its disk ${path} has ${now.size} bytes now, and had ${disk.size}`];
  if (disk.readonly || disk.isBlockDevice) return [];
  if (now.ino !== identity.ino) return [`its disk ${path} was replaced by another file since`];
  return now.mtime === identity.mtime ? [] : [`its disk ${path} was written since, at ${when(now.mtime)}`];
}

/**
 * Backing files must be unchanged, as the image's copy and its own file only have the rest. A block device has no times
 * of its own.
 */
function backingProblems({ path, backing = [] }: SavedDisk, now: Surroundings['disk']): string[] {
  return backing.flatMap(({ path: file, identity }) => {
    const found = now(file);
    const what = `${file}, which backs its disk ${path},`;
    if (found === null) return [`${what} does not exist`];
    if (identity.size === 0 && found.size === 0) return [];
    if (found.size !== identity.size)
      return [`${what} has ${found.size} bytes now, and had ${identity.size}`];
    return found.mtime === identity.mtime ? [] : [`${what} was written since, at ${when(found.mtime)}`];
  });
}

function when(mtime: string): string {
  return new Date(Number(BigInt(mtime) / 1_000_000n)).toISOString();
}
