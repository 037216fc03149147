import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { replaceFile } from '../../files/replace-file.ts';
import { currentBootId, startTicksOf } from '../../host/process-identity.ts';
import { type MachineConfig, machineConfig } from '../../vmm/machine/config.ts';
import { VM_NAME } from '../../vmm/machine/vm-name.ts';
import { isBound } from '../vm-lock.ts';

/** The file that says which process runs a VM, for later managers. It is removed with the machine. */
const record = z.object({
  version: z.literal(1),
  name: z.string().regex(VM_NAME.pattern),
  pid: z.int().positive(),
  /** With the pid, the identity of the process (proc(5), field 22 of stat). */
  startTime: z.number(),
  bootId: z.string(),
  /** The machine says it too when a manager connects. */
  token: z.string().min(16),
  /** Milliseconds since 1970. */
  startedAt: z.number(),
  /** Of a machine of root's: the one that it changes to. */
  uid: z.int().positive().nullable(),
  config: machineConfig,
});

export type MachineRecord = Omit<z.output<typeof record>, 'config'> & { readonly config: MachineConfig };

export function socketOf(folder: string, id: string): string {
  return join(folder, `${id}.sock`);
}

export function writeRecord(folder: string, id: string, value: MachineRecord): void {
  replaceFile(pathOf(folder, id), `${JSON.stringify(value)}\n`, { mode: 0o600, fresh: true });
}

/** What cannot be removed is left to the next manager, which finds that its machine is gone. */
export function removeRecord(folder: string, id: string): void {
  for (const path of [pathOf(folder, id), socketOf(folder, id)]) {
    try {
      rmSync(path, { force: true });
    } catch {}
  }
}

/** The records of machines that still run. @param problem called for each that cannot be read */
export function readRecords(
  folder: string,
  problem: (text: string) => void,
): { readonly id: string; readonly record: MachineRecord }[] {
  return idsIn(folder).flatMap(id => {
    const found = readRecord(folder, id, problem);
    return found !== null && isOfRunning(found) ? [{ id, record: found }] : [];
  });
}

/** Removes records that a manager had not written to their end. Nobody else may be writing one. */
export function removeUnfinished(folder: string): void {
  for (const name of namesIn(folder))
    if (/^\.[0-9a-f]{8}\.json\..*\.new$/.test(name)) rmSync(join(folder, name), { force: true });
}

type Leftover = { readonly id: string; readonly name: string | null };

/** What is left of machines that are gone: ids, each with the VM's name if its record can be read. */
export function leftovers(folder: string): Leftover[] {
  return idsIn(folder, /^([0-9a-f]{8})\.(?:json|sock)$/).flatMap<Leftover>(id => {
    const found = readRecord(folder, id, () => {});
    if (found !== null) return isOfRunning(found) ? [] : [{ id, name: found.name }];
    // One that is damaged may be of a machine that runs; a manager that died before it wrote one had not started the machine.
    return existsSync(pathOf(folder, id)) && isBound(socketOf(folder, id)) ? [] : [{ id, name: null }];
  });
}

function isOfRunning({ bootId, pid, startTime }: MachineRecord): boolean {
  return bootId === currentBootId() && startTicksOf(pid) === startTime;
}

function readRecord(folder: string, id: string, problem: (text: string) => void): MachineRecord | null {
  const path = pathOf(folder, id);
  try {
    return record.parse(JSON.parse(readFileSync(path, 'utf8')));
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
