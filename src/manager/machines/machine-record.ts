import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { anyDeviceConfig } from '../../devices/device-config.ts';
import { replaceFile } from '../../files/replace-file.ts';
import { currentBootId, startTicksOf } from '../../host/process-identity.ts';
import { type MachineConfig, machineConfig } from '../../vmm/machine/config.ts';
import { VM_NAME } from '../../vmm/machine/vm-name.ts';
import { isBound } from '../vm-lock.ts';

const process = z.object({
  pid: z.int().positive(),
  /** Identifies the process together with the pid (proc(5), field 22 of stat). */
  startTime: z.number(),
  /** The machine presents it, too, when a manager connects. */
  token: z.string().min(16),
  /** Which of this record's two sockets it listens on; default: the first. */
  slot: z.int().min(0).max(1).optional(),
  /** The manager that called listen(2) for it, after the file of its first socket was removed; default: itself. */
  listener: z.int().positive().optional(),
  /** The shape of its counters; default: derived from the configuration. */
  counters: z.object({ vcpus: z.int(), queues: z.int(), regions: z.int() }).optional(),
});

/** The file that records which process runs a VM, for later managers. It is removed with the machine. */
const record = process.extend({
  version: z.literal(1),
  name: z.string().regex(VM_NAME.pattern),
  bootId: z.string(),
  /** Milliseconds since 1970. */
  startedAt: z.number(),
  /** For root's machines: the uid that it changes to. */
  uid: z.int().positive().nullable(),
  /** With its present devices. */
  config: machineConfig,
  /** Devices have been added or removed since it was started. */
  changed: z.boolean().optional(),
  /** Devices that a manager is plugging in. */
  pending: z.array(anyDeviceConfig).optional(),
  /** The process that the machine is being handed to. Whichever of the two remains has the machine. */
  successor: process.optional(),
});

/** A process in a record. */
export type RecordedProcess = z.output<typeof process>;
export type MachineRecord = Omit<z.output<typeof record>, 'config'> & { readonly config: MachineConfig };

export function socketOf(folder: string, id: string, slot = 0): string {
  return join(folder, slot === 0 ? `${id}.sock` : `${id}.${slot}.sock`);
}

function socketsOf(folder: string, id: string): string[] {
  return [0, 1].map(slot => socketOf(folder, id, slot));
}

/** The last record of each machine that this process has written or read: its file may be removed at any time. */
const known = new Map<string, MachineRecord>();

/** The record as it was last seen; null if its machine has never had one, or is gone. */
export function knownRecord(folder: string, id: string): MachineRecord | null {
  return readRecord(folder, id) ?? known.get(pathOf(folder, id)) ?? null;
}

export function writeRecord(folder: string, id: string, value: MachineRecord): void {
  const options = { mode: 0o600, fresh: true, synced: false };
  // Need not be synced: after a power loss, its machine is gone, too.
  replaceFile(pathOf(folder, id), `${JSON.stringify(value)}\n`, options);
  known.set(pathOf(folder, id), value);
}

/** A record that cannot be removed is left to the next manager, which finds that its machine is gone. */
export function removeRecord(folder: string, id: string): void {
  known.delete(pathOf(folder, id));
  for (const path of [pathOf(folder, id), ...socketsOf(folder, id)]) {
    try {
      rmSync(path, { force: true });
    } catch {}
  }
}

/** The record of a machine that has been handed to its successor. */
export function promoted({ successor, slot: _, listener: __, ...record }: MachineRecord): MachineRecord {
  if (successor === undefined) throw new Error('the record has no successor');
  return { ...record, ...successor };
}

/** The record without its successor. */
export function withoutSuccessor({ successor: _, ...record }: MachineRecord): MachineRecord {
  return record;
}

/**
 * The records of running machines. During a hand-over, while both processes run, the record has both.
 * @param problem called for each that cannot be read
 */
export function readRecords(
  folder: string,
  problem: (text: string) => void,
): { readonly id: string; readonly record: MachineRecord }[] {
  return idsIn(folder).flatMap(id => {
    const record = runningRecord(folder, id, problem);
    return record === null ? [] : [{ id, record }];
  });
}

/** The record with this id; null if its machine does not run. */
export function runningRecord(
  folder: string,
  id: string,
  problem: (text: string) => void = () => {},
): MachineRecord | null {
  const found = readRecord(folder, id, problem);
  return found && asRunning(found);
}

/** Keeps a record of a machine that this manager has found. */
export function keepRecord(folder: string, id: string, value: MachineRecord): void {
  known.set(pathOf(folder, id), value);
}

/** Removes records that a manager did not finish writing. No other process may be writing one. */
export function removeUnfinished(folder: string): void {
  for (const name of namesIn(folder))
    if (/^\.[0-9a-f]{8}\.json\..*\.new$/.test(name)) rmSync(join(folder, name), { force: true });
}

type Leftover = { readonly id: string; readonly name: string | null };

/** Leftovers of machines that are gone: ids, each with the VM's name if its record can be read. */
export function leftovers(folder: string): Leftover[] {
  return idsIn(folder, /^([0-9a-f]{8})\.(?:json|(?:1\.)?sock)$/).flatMap<Leftover>(id => {
    const found = readRecord(folder, id, () => {});
    if (found !== null) return asRunning(found) !== null ? [] : [{ id, name: found.name }];
    // A damaged record may belong to a running machine; without a record, the machine was never started.
    const mayRun = existsSync(pathOf(folder, id)) && socketsOf(folder, id).some(isBound);
    return mayRun ? [] : [{ id, name: null }];
  });
}

/** The record limited to the processes that run; null if none does. */
function asRunning(record: MachineRecord): MachineRecord | null {
  const { bootId, successor } = record;
  if (bootId !== currentBootId()) return null;
  const runs = ({ pid, startTime }: RecordedProcess) => startTicksOf(pid) === startTime;
  const isTaken = successor !== undefined && runs(successor);
  if (runs(record)) return isTaken ? record : withoutSuccessor(record);
  return isTaken ? promoted(record) : null;
}

/**
 * The record with this id, whether or not its machine runs; null if there is no valid one. @param problem called if it
 * is damaged
 */
export function readRecord(
  folder: string,
  id: string,
  problem: (text: string) => void = () => {},
): MachineRecord | null {
  const path = pathOf(folder, id);
  try {
    const found = record.parse(JSON.parse(readFileSync(path, 'utf8')));
    if (known.has(path)) known.set(path, found);
    return found;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT')
      problem(`${path} is damaged (${code ?? 'not valid'}): the VM it belongs to is not taken over`);
    return null;
  }
}

function idsIn(folder: string, pattern = /^([0-9a-f]{8})\.json$/): string[] {
  return [...new Set(namesIn(folder).flatMap(name => pattern.exec(name)?.[1] ?? []))];
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function pathOf(folder: string, id: string): string {
  return join(folder, `${id}.json`);
}
