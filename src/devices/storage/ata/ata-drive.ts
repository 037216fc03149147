import type { DiskPort, DiskPortError } from '../../backends/disk-port.ts';
import type { Device } from '../../device.ts';
import type { AtaInterface } from './identify.ts';

/**
 * The registers that a host writes before a command (ACS-3 §6): of a 28-bit command, the low byte of `features` and `count`, the low 24 bits
 * of `lba`, and the low 4 of `device` count.
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

/** The registers when a command has ended. `lba` and `count` as the host finds them, 48 and 16 bits. */
export type ResultRegisters = {
  readonly status: number;
  readonly error: number;
  readonly count: number;
  readonly lba: number;
  readonly device: number;
};

/** What follows a power-on or a reset, which identifies the kind of drive (ACS-3 §9.12). */
export type Signature = Pick<ResultRegisters, 'error' | 'count' | 'lba' | 'device'>;

/** Which way data goes: to the host, or from it. */
export type DataDirection = 'in' | 'out';

type Phase = {
  /** `queued`: DMA of a command with a tag (FPDMA). */
  readonly protocol: 'pio' | 'dma' | 'queued';
  /** PIO: bytes of a block of data, before each of which the host is interrupted; at least 2, even but for the last. */
  readonly block: number;
};

/** The data of a command, which its transport moves. */
export type DataPhase = Phase &
  (
    | {
        /** Content of the disk; the transport has the drive's port move it. */
        readonly kind: 'disk';
        readonly direction: DataDirection;
        readonly offset: number;
        readonly length: number;
      }
    | { readonly kind: 'bytes'; readonly direction: 'in'; readonly bytes: Uint8Array }
    | {
        /** `length` bytes that the drive gets when the phase ends. */
        readonly kind: 'bytes';
        readonly direction: 'out';
        readonly length: number;
      }
  );

/** How a phase has ended: as a port's request, or because the host's memory or interface takes no data (`memory`). */
export type PhaseDone = (error: DiskPortError | null, bytes?: Uint8Array) => void;

/** The transport's end of one command. */
export interface CommandHost {
  /** Moves data; `done` is called when it has, possibly within this call. After an error of its own the transport may also just drop the command. */
  transfer(phase: DataPhase, done: PhaseDone): void;
  /** PACKET: takes the command's 12 bytes from the host. */
  takePacket(then: (packet: Uint8Array) => void): void;
  /** The command has ended, possibly within `execute`. */
  complete(result: ResultRegisters): void;
}

/**
 * A drive behind an ATA interface, a disk or one with packet commands, apart from how registers and data travel: that is its transport's, an IDE
 * channel or a port of an AHCI controller.
 *
 * After a state with an unfinished command was loaded, a transport executes the command again with the same registers and goes on with
 * its data where that was.
 */
export interface AtaDrive extends Device {
  readonly kind: 'disk' | 'packet';
  readonly signature: Signature;
  /** How it is connected, which the transport says. */
  interface: AtaInterface;
  /** Serves `DataPhase`s of kind `disk`; null: there is no medium. */
  readonly port: DiskPort | null;
  /** Carries out a command. One at a time, but for queued ones. */
  execute(registers: CommandRegisters, host: CommandHost): void;
  /** Drops all commands: nothing of their hosts is called any more. @param ended when nothing of them touches disk or memory either */
  abort(ended: () => void): void;
  /** A software reset or a COMRESET: settings go back to those of power-on, except those that survive it. `abort` comes first. */
  softReset(): void;
  /** The drive has news for its host while no command is active: its medium was changed. */
  onNotify: (() => void) | null;
}
