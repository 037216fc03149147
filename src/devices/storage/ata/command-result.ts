import type { DiskPortError } from '../../backends/disk-port.ts';
import type { CommandHost, CommandRegisters, DataDirection, ResultRegisters } from './ata-drive.ts';
import { ERROR, READY, STATUS } from './registers.ts';

/** A command that a drive carries out, with the transport's end of it. */
export type Command = { readonly registers: CommandRegisters; readonly host: CommandHost };

/** Completes a command. @param changes registers with results; the others stay as they were */
export function succeed({ registers, host }: Command, changes: Partial<ResultRegisters> = {}): void {
  host.complete({ ...resultOf(registers, READY, 0), count: 0, ...changes });
}

/** @param error bits of the error register */
export function fail({ registers, host }: Command, error: number): void {
  host.complete(resultOf(registers, READY | STATUS.error, error));
}

/** The registers of a completed command, as the host wrote them except for `status` and `error`. */
export function resultOf(
  { lba, count, device }: CommandRegisters,
  status: number,
  error: number,
): ResultRegisters {
  return { status, error, count, lba, device };
}

/** The error register for a request that a disk's port did not carry out. */
export function errorOf(error: DiskPortError, direction: DataDirection): [status: number, error: number] {
  switch (error) {
    case 'host':
      return direction === 'in'
        ? [READY | STATUS.error, ERROR.uncorrectable]
        : [READY | STATUS.error | STATUS.deviceFault, ERROR.aborted];
    case 'range':
      return [READY | STATUS.error, ERROR.notFound];
    case 'readonly':
    case 'memory':
      return [READY | STATUS.error, ERROR.aborted];
  }
}
