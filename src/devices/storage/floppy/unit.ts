import type { DiskPortError } from '../../backends/disk-port.ts';
import type { FloppyDriveKind, FloppyFormat } from './media.ts';

/** A drive, as its controller uses it. */
export interface FloppyUnit {
  readonly kind: FloppyDriveKind;
  /** Null: there is no medium. */
  readonly format: FloppyFormat | null;
  readonly isWriteProtected: boolean;
  /** The disk change line. */
  readonly isChanged: boolean;
  /** Where its heads are. */
  readonly cylinder: number;
  moveTo(cylinder: number): void;
  /** Whole sectors of the medium from number `lba` on; `done` is called later. Where the image has ended, they are zero. */
  read(lba: number, bytes: Uint8Array, done: (error: DiskPortError | null) => void): void;
  write(lba: number, bytes: Uint8Array, done: (error: DiskPortError | null) => void): void;
  /** Drops what has been begun. */
  cancel(): void;
  onMediumChanged: (() => void) | null;
}
