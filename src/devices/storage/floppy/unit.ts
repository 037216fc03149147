import type { DiskPortError } from '../../backends/disk-port.ts';
import type { FloppyDriveKind, FloppyFormat } from './media.ts';

/** A drive as seen by its controller. */
export interface FloppyUnit {
  readonly kind: FloppyDriveKind;
  /** Null if there is no medium. */
  readonly format: FloppyFormat | null;
  readonly isWriteProtected: boolean;
  /** The disk change line. */
  readonly isChanged: boolean;
  /** The position of its heads. */
  readonly cylinder: number;
  moveTo(cylinder: number): void;
  /**
   * Reads whole sectors of the medium, from number `lba` on; `done` is called later. Beyond the end of the image, they
   * are zero.
   */
  read(lba: number, bytes: Uint8Array, done: (error: DiskPortError | null) => void): void;
  write(lba: number, bytes: Uint8Array, done: (error: DiskPortError | null) => void): void;
  /** Drops pending requests. */
  cancel(): void;
  onMediumChanged: (() => void) | null;
}
