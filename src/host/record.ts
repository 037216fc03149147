import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { makeFolders } from '../files/make-folders.ts';
import { kernelParameterEdits } from './boot/kernel-parameters.ts';
import { readNextBoot } from './boot/next-boot.ts';
import { findProgram } from './distribution.ts';
import { diagnose } from './doctor/doctor.ts';
import { assess } from './passthrough/assess.ts';
import { readDetails } from './pci/details.ts';
import { initramfsCommand } from './plan/persist/initramfs.ts';
import { storeChecks } from './plan/persist/store-checks.ts';
import { type HostSurvey, readSurvey } from './plan/survey.ts';
import { factsPath } from './recorded-facts.ts';
import { RecordingRoot } from './recording-root.ts';
import type { HostRoot } from './root.ts';
import { readDeviceUsers } from './use/device-users.ts';
import { readHostVitals } from './vitals.ts';

export type Recording = { readonly target: string; readonly files: number; readonly bytes: number };

/**
 * Records a host into a directory, or into a tar archive when the name ends in .tar, .tar.gz or .tgz. A recording
 * contains only what the readers use, which includes network and MAC addresses and serial numbers.
 * @param source `/`, or a recording to record again
 * @throws if the target exists and is not an empty directory
 */
export async function recordHost(target: string, source = '/'): Promise<Recording> {
  const absolute = path.resolve(target);
  if (!/\.(tar|tar\.gz|tgz)$/.test(absolute)) return await recordTo(absolute, source);
  if (fs.existsSync(absolute)) throw new Error(`${target} exists: choose another name`);
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'vring-record-'));
  try {
    const recording = await recordTo(directory, source);
    await execa('tar', ['--create', '--auto-compress', '--file', absolute, '--directory', directory, '.']);
    return { ...recording, target: absolute };
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

async function recordTo(directory: string, source: string): Promise<Recording> {
  const there = fs.lstatSync(directory, { throwIfNoEntry: false });
  if (there !== undefined && (!isDirectory(directory) || fs.readdirSync(directory).length > 0)) {
    throw new Error(
      `${directory} is not ${isDirectory(directory) ? 'empty' : 'a directory'}: name a new directory`,
    );
  }
  const root = new RecordingRoot(source);
  await readEverything(root);
  // These differ at each read, so `readEverything` omits them.
  readHostVitals(root, '/');
  root.nodes('/dev/vfio');
  root.nodes('/dev/vfio/devices');
  for (const node of ['/dev/kvm', '/dev/iommu', '/dev/net/tun', '/dev/vhost-net']) root.node(node);
  return write(root, directory);
}

/** Follows links; one that leads nowhere is not a directory. */
function isDirectory(target: string): boolean {
  try {
    return fs.statSync(target).isDirectory();
  } catch {
    return false;
  }
}

/** The answers of all readers, as plain data. */
export type Everything = Awaited<ReturnType<typeof readEverything>>;

/** Runs every reader: a recording contains what they read. */
export async function readEverything(root: HostRoot) {
  const survey = await readSurvey(root);
  const { functions, groups, use, physicalFunctions, vfio } = survey;
  return {
    functions,
    details: functions.map(fn => readDetails(root, fn)),
    groups: [...groups.values()],
    use: [...use],
    users: [...readDeviceUsers(survey.openFiles, functions).byAddress],
    sriov: [...physicalFunctions.values()],
    vfio,
    passthrough: passthroughReasons(survey),
    nextBoot: [...readNextBoot(root, functions)],
    diagnosis: diagnose(root),
    bootLoader: bootLoaderEdits(root),
    initramfs: initramfsFiles(root),
  };
}

/** What passthrough checks read, for all functions; without free memory, which differs at each read. */
function passthroughReasons(survey: HostSurvey): unknown {
  const { devices, reasons } = assess(survey, { addresses: survey.functions.map(fn => fn.address) });
  return { devices, reasons };
}

function bootLoaderEdits(root: HostRoot): unknown {
  try {
    return kernelParameterEdits(root, {
      add: ['intel_iommu=on', 'iommu=pt'],
      remove: ['amd_iommu=off'],
    });
  } catch (error) {
    return (error as Error).message;
  }
}

/** What plans with `persist` read. */
function initramfsFiles(root: HostRoot): unknown {
  return {
    programs: ['update-initramfs', 'dracut', 'systemctl', 'udevadm', 'modprobe'].map(name =>
      findProgram(root, name),
    ),
    command: initramfsCommand(root),
    checks: storeChecks(root),
    modules: root.text('/etc/initramfs-tools/modules'),
  };
}

function write(root: RecordingRoot, directory: string): Recording {
  let bytes = 0;
  for (const [hostPath, entry] of [...root.entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const target = path.join(directory, hostPath);
    makeFolders(path.dirname(target));
    if (entry.kind === 'directory') makeFolders(target);
    if (entry.kind === 'link') fs.symlinkSync(entry.target, target);
    if (entry.kind === 'file') {
      fs.writeFileSync(target, entry.content);
      bytes += entry.content.length;
    }
  }
  const facts = path.join(directory, factsPath);
  makeFolders(path.dirname(facts));
  fs.writeFileSync(facts, `${JSON.stringify(root.recorded, null, 1)}\n`);
  return { target: directory, files: root.entries.size, bytes };
}
