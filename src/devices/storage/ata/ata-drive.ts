import type { DiskPort, DiskPortError } from '../../backends/disk-port.ts';
import type { Device } from '../../device.ts';
import type { AtaInterface } from './identify.ts';

/**
 * The registers that a host writes before a command (ACS-3 §6). For a 28-bit command, only the low byte of `features`
 * and `count`, the low 24 bits of `lba`, and the low 4 of `device` count.
 */
export type CommandRegisters = {
  readonly command: number;
  /** 16 bits. */
  readonly features: number;
  /** 16 bits. */
  readonly count: number;
  /** 48 bits; CHS in the low 24: sector, cylinder low, cylinder high. */
  readonly lba: number;
  readonly device: number;
};

/** The registers when a command has ended. `lba` and `count` as the host reads them, 48 and 16 bits. */
export type ResultRegisters = {
  readonly status: number;
  readonly error: number;
  readonly count: number;
  readonly lba: number;
  readonly device: number;
};

/** The registers after a power-on or a reset, which identify the kind of drive (ACS-3 §9.12). */
export type Signature = Pick<ResultRegisters, 'error' | 'count' | 'lba' | 'device'>;

/** The direction of data: to the host, or from it. */
export type DataDirection = 'in' | 'out';

type Phase = {
  /** `queued`: DMA of a command with a tag (FPDMA). */
  readonly protocol: 'pio' | 'dma' | 'queued';
  /**
   * For PIO: bytes of a block of data, each preceded by an interrupt; at least 2, and even except for the last block.
   */
  readonly block: number;
};

/** The data of a command, which its transport moves. */
export type DataPhase = Phase &
  (
    | {
        /** Disk contents, which the transport moves through the drive's port. */
        readonly kind: 'disk';
        readonly direction: DataDirection;
        readonly offset: number;
        readonly length: number;
      }
    | { readonly kind: 'bytes'; readonly direction: 'in'; readonly bytes: Uint8Array }
    | {
        /** `length` bytes that the drive receives when the phase ends. */
        readonly kind: 'bytes';
        readonly direction: 'out';
        readonly length: number;
      }
  );

/** The result of a phase: that of a port's request, or `memory` if the host's memory or interface accepts no data. */
export type PhaseDone = (error: DiskPortError | null, bytes?: Uint8Array) => void;

/** The transport's end of one command. */
export interface CommandHost {
  /**
   * Moves data; `done` is called when it has been moved, possibly within this call. After an error of its own the
   * transport may also just drop the command.
   */
  transfer(phase: DataPhase, done: PhaseDone): void;
  /** PACKET: takes the command's 12 bytes from the host. */
  takePacket(then: (packet: Uint8Array) => void): void;
  /** The command has completed, possibly within `execute`. */
  complete(result: ResultRegisters): void;
}

/**
 * A drive behind an ATA interface, a disk or a drive with packet commands, independent of how registers and data are
 * transported: that is up to its transport, an IDE channel or a port of an AHCI controller.
 *
 * After loading a state with an unfinished command, a transport executes the command again with the same registers, and
 * continues with its data where it was.
 */
export interface AtaDrive extends Device {
  readonly kind: 'disk' | 'packet';
  readonly signature: Signature;
  /** How it is connected, set by the transport. */
  interface: AtaInterface;
  /** Serves `DataPhase`s of kind `disk`; null if there is no medium. */
  readonly port: DiskPort | null;
  /** Carries out a command. One at a time, except for queued ones. */
  execute(registers: CommandRegisters, host: CommandHost): void;
  /**
   * Drops all commands: their hosts are not called any more. @param ended called once they no longer touch disk or
   * memory either
   */
  abort(ended: () => void): void;
  /**
   * A software reset or a COMRESET: restores the power-on settings, except those that survive it. `abort` comes first.
   */
  softReset(): void;
  /** Called when the drive has something to report to its host while no command is active: its medium was changed. */
  onNotify: (() => void) | null;
}
