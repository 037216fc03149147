import path from 'node:path';
import {
  type DiskCache,
  type DiskFormat,
  type DiskLimits,
  limitsProblem,
  limitsText,
} from '../../devices/backends/disk.ts';
import type { Engine } from '../../engine/engine.ts';
import { isAlive, type VmInfo } from '../../engine/vm-info.ts';
import { sizeText } from '../../text/size.ts';
import { UsageError } from '../../text/usage-error.ts';
import { print } from '../host/host-options.ts';
import { findVm } from './find.ts';

type Json = { readonly json?: boolean };

export type ResizeOptions = Json & { readonly shrink?: boolean };

export type LimitOptions = Json & {
  readonly iops?: number;
  readonly iopsBurst?: number;
  readonly bps?: number;
  readonly bpsBurst?: number;
  readonly none?: boolean;
  readonly persist?: boolean;
};

export type ChangeOptions = Json & {
  readonly force?: boolean;
  readonly format?: DiskFormat;
  readonly cache?: DiskCache;
};

export type EjectOptions = Json & { readonly force?: boolean };

/** For a VM that is off, only the definition has changed. */
export function limitsLine(vm: VmInfo, device: string, text: string): string {
  return isAlive(vm)
    ? `${vm.name}: limits of ${device}: ${text}`
    : `${vm.name} is ${vm.state}: limits of ${device} at its next start: ${text}`;
}

export const NOTHING_TO_PERSIST = '--persist: give the limits to set, or --none for no limits';

type Disks = Pick<Engine, 'vms' | 'resizeDisk' | 'changeMedium'>;

/** @param file relative to this process's folder */
export async function changeMedium(
  engine: Disks,
  name: string,
  drive: string,
  file: string,
  { force = false, format, cache = 'writeback', ...options }: ChangeOptions,
): Promise<void> {
  const { id } = findVm(engine.vms(), name);
  const medium = { path: path.resolve(file), format, cache };
  await engine.changeMedium(id, drive, { medium, force });
  print(options, { name, drive, file: medium.path }, () => [`${name}: ${drive} has ${medium.path} now`]);
}

export async function ejectMedium(
  engine: Disks,
  name: string,
  drive: string,
  { force = false, ...options }: EjectOptions,
): Promise<void> {
  const { id } = findVm(engine.vms(), name);
  await engine.changeMedium(id, drive, { medium: null, force });
  print(options, { name, drive, file: null }, () => [`${name}: ${drive} is empty now`]);
}

export async function resizeDisk(
  engine: Disks,
  name: string,
  disk: string,
  { bytes, shrink = false, ...options }: ResizeOptions & { readonly bytes: number | null },
): Promise<void> {
  const { id } = findVm(engine.vms(), name);
  const size = await engine.resizeDisk(id, disk, { bytes, shrink });
  print(options, { name, disk, bytes: size }, () => [`${name}: ${disk} has ${sizeText(size)} now`]);
}

export async function limitDisk(
  engine: Pick<Engine, 'vms' | 'limitDisk'>,
  name: string,
  disk: string,
  options: LimitOptions,
): Promise<void> {
  const vm = findVm(engine.vms(), name);
  const limits = limitsOf(options);
  if (limits === null && options.persist) throw new UsageError(NOTHING_TO_PERSIST);
  if (limits !== null) await engine.limitDisk(vm.id, disk, limits, persisting(options));
  const text = limits === null ? presentLimits(vm, disk) : limitsText(limits);
  print(options, { name, disk, limits: text }, () => [limitsLine(vm, disk, text)]);
}

/** Omits the key without --persist: managers of older versions do not know it. */
export function persisting({ persist }: { readonly persist?: boolean }): { readonly persist?: true } {
  return persist ? { persist } : {};
}

/** The devices with a back end of this kind, of a VM that is off those of its definition. */
export function devicesWith({ topology, definedDevices = [], ...vm }: VmInfo, backend: 'disk' | 'net') {
  const devices = isAlive(vm) ? (topology?.devices ?? []) : definedDevices;
  return devices.filter(device => device.backend === backend);
}

/** Null to only show them. @throws UsageError */
function limitsOf({ iops, iopsBurst, bps, bpsBurst, none }: LimitOptions): DiskLimits | null {
  const limits = { iops, 'iops-burst': iopsBurst, bps, 'bps-burst': bpsBurst };
  const given = Object.entries(limits).filter(([, value]) => value !== undefined);
  if (!none && given.length === 0) return null;
  const problem = limitsProblem(limits);
  if (problem !== null) throw new UsageError(`--${problem.key}: ${problem.message}`);
  return Object.fromEntries(given);
}

function presentLimits(vm: VmInfo, disk: string): string {
  const { name } = vm;
  const disks = devicesWith(vm, 'disk');
  const found = disks.find(device => device.name === disk);
  if (found === undefined) {
    const choice = disks.length === 0 ? 'it has none' : `it has ${disks.map(each => each.name).join(', ')}`;
    throw new Error(`${name} has no disk "${disk}": ${choice}`);
  }
  return String(found.facts.find(({ label }) => label === 'limits')?.value ?? 'none');
}
