import type { DiskPort, DiskPortError } from '../../backends/disk-port.ts';
import type { GuestData } from './guest-data.ts';
import type { Logs } from './logs.ts';
import type { NvmeNamespace } from './namespace.ts';
import { ALL_NAMESPACES, NVM } from './opcodes.ts';
import { MAX_TRANSFER } from './registers.ts';
import { type Complete, STATUS } from './status.ts';
import type { SubmittedCommand } from './submitted-command.ts';

const OPCODES: ReadonlySet<number> = new Set(Object.values(NVM));
const FORCE_UNIT_ACCESS = 1 << 30;
/** DEAC of Write Zeroes. */
const DEALLOCATE_ZEROES = 1 << 25;
/** AD of Dataset Management, and the bytes of one of its ranges. */
const DEALLOCATE = 1 << 2;
const RANGE_BYTES = 16;

/** A controller as its I/O commands see it. */
export type NvmHost = {
  readonly data: GuestData;
  readonly logs: Pick<Logs, 'count'>;
  /** By their identifiers. */
  readonly namespaces: ReadonlyMap<number, NvmeNamespace>;
  /** The largest identifier of a namespace. */
  readonly lastNamespace: number;
};

type Direction = 'read' | 'write';

/** A command for a namespace, which has a port. */
type Target = { readonly namespace: NvmeNamespace; readonly port: DiskPort };

/** Carries out a command of the NVM command set (NVMe base 1.4 §6). */
export function executeNvm(command: SubmittedCommand, host: NvmHost, complete: Complete): void {
  if (!OPCODES.has(command.opcode)) {
    complete(STATUS.invalidOpcode);
    return;
  }
  if (command.isFusedOrSgl) {
    complete(STATUS.invalidField);
    return;
  }
  const { namespace: id } = command;
  if (command.opcode === NVM.flush && id === ALL_NAMESPACES) {
    flushAll(host.namespaces.values(), complete);
    return;
  }
  if (id === 0 || id > host.lastNamespace) {
    complete(STATUS.invalidNamespace);
    return;
  }
  const namespace = host.namespaces.get(id);
  const port = namespace?.port ?? null;
  // There is no such namespace, but there might be.
  if (namespace === undefined || port === null) {
    complete(STATUS.invalidField);
    return;
  }
  const target = { namespace, port };
  switch (command.opcode) {
    case NVM.flush:
      namespace.flush(error => complete(statusOf(error, 'write', host)));
      break;
    case NVM.read:
      transfer(command, host, target, 'read', complete);
      break;
    case NVM.write:
      transfer(command, host, target, 'write', complete);
      break;
    case NVM.writeZeroes:
      writeZeroes(command, host, target, complete);
      break;
    case NVM.datasetManagement:
      manageDataset(command, host, target, complete);
      break;
  }
}

/** Flushes namespaces. The first error counts. */
export function flushAll(namespaces: Iterable<NvmeNamespace>, complete: Complete): void {
  const all = [...namespaces];
  let left = all.length;
  let failed: DiskPortError | null = null;
  if (left === 0) complete(STATUS.success);
  for (const namespace of all) {
    namespace.flush(error => {
      failed ??= error;
      left--;
      if (left === 0) complete(failed === null ? STATUS.success : STATUS.writeFault);
    });
  }
}

/** Read and Write (§6.9, §6.15). */
function transfer(
  command: SubmittedCommand,
  host: NvmHost,
  { namespace, port }: Target,
  direction: Direction,
  complete: Complete,
): void {
  const { block } = namespace.identity;
  const { first, count } = rangeOf(command);
  const length = count * block;
  const problem = length > MAX_TRANSFER ? STATUS.invalidField : problemOf(namespace, first, count, direction);
  if (problem !== STATUS.success) {
    complete(problem);
    return;
  }
  const segments = host.data.segments(command, length);
  if (typeof segments === 'number') {
    complete(segments);
    return;
  }
  const isForced = direction === 'write' && (command.dword(12) & FORCE_UNIT_ACCESS) !== 0;
  port.transfer(direction, first * block, segments, error => {
    if (error === null) {
      host.logs.count(direction === 'read' ? 'reads' : 'writes', 1);
      host.logs.count(direction === 'read' ? 'bytesRead' : 'bytesWritten', length);
    }
    if (error === null && isForced) namespace.flush(error => complete(statusOf(error, 'write', host)));
    else complete(statusOf(error, direction, host));
  });
}

/** Write Zeroes (§6.16). */
function writeZeroes(
  command: SubmittedCommand,
  host: NvmHost,
  { namespace, port }: Target,
  complete: Complete,
): void {
  const { block } = namespace.identity;
  const { first, count } = rangeOf(command);
  const problem = problemOf(namespace, first, count, 'write');
  if (problem !== STATUS.success) {
    complete(problem);
    return;
  }
  const isForced = (command.dword(12) & FORCE_UNIT_ACCESS) !== 0;
  const deallocates = (command.dword(12) & DEALLOCATE_ZEROES) !== 0;
  port.writeZeroes(first * block, count * block, deallocates, error => {
    if (error === null && isForced) namespace.flush(error => complete(statusOf(error, 'write', host)));
    else complete(statusOf(error, 'write', host));
  });
}

/**
 * Dataset Management (§6.7): attributes are hints, except for the one that deallocates. One range after the other:
 * there may be many, and each may be large.
 */
function manageDataset(
  command: SubmittedCommand,
  host: NvmHost,
  { namespace, port }: Target,
  complete: Complete,
): void {
  const { block } = namespace.identity;
  const bytes = host.data.take(command, ((command.dword(10) & 0xff) + 1) * RANGE_BYTES);
  if (typeof bytes === 'number') {
    complete(bytes);
    return;
  }
  const ranges = rangesOf(bytes);
  const deallocates = (command.dword(11) & DEALLOCATE) !== 0;
  const problem = ranges
    .map(({ first, count }) => problemOf(namespace, first, count, deallocates ? 'write' : 'read'))
    .find(status => status !== STATUS.success);
  if (problem !== undefined || !deallocates) {
    complete(problem ?? STATUS.success);
    return;
  }
  const next = (index: number): void => {
    const range = ranges[index];
    if (range === undefined) {
      complete(STATUS.success);
      return;
    }
    port.discard(range.first * block, range.count * block, error => {
      if (error === null) next(index + 1);
      else complete(statusOf(error, 'write', host));
    });
  };
  next(0);
}

type Range = { readonly first: number; readonly count: number };

/** The blocks of a command. */
function rangeOf(command: SubmittedCommand): Range {
  return { first: command.qword(10), count: (command.dword(12) & 0xffff) + 1 };
}

function rangesOf(bytes: Uint8Array): Range[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Array.from({ length: bytes.length / RANGE_BYTES }, (_, index) => {
    const at = index * RANGE_BYTES;
    const first = view.getUint32(at + 8, true) + view.getUint32(at + 12, true) * 2 ** 32;
    return { first, count: view.getUint32(at + 4, true) };
  }).filter(({ count }) => count > 0);
}

/** Why blocks cannot be accessed, as a status. */
function problemOf(namespace: NvmeNamespace, first: number, count: number, direction: Direction): number {
  if (first + count > namespace.blocks) return STATUS.lbaOutOfRange;
  return direction === 'write' && namespace.isReadOnly ? STATUS.writeProtected : STATUS.success;
}

/** The status of a command whose request has ended. */
function statusOf(error: DiskPortError | null, direction: Direction, { logs }: NvmHost): number {
  switch (error) {
    case null:
      return STATUS.success;
    case 'range':
      return STATUS.lbaOutOfRange;
    case 'readonly':
      return STATUS.writeProtected;
    case 'memory':
      return STATUS.dataTransferError;
    case 'host':
      logs.count('mediaErrors', 1);
      return direction === 'read' ? STATUS.unrecoveredRead : STATUS.writeFault;
  }
}
