import type { DiskErrors } from '../backends/disk.ts';
import type { ScsiAddress, ScsiController } from './scsi-host.ts';

/** What a controller tells its driver of its units, if the driver wants to know. */
export interface ScsiNews {
  /** @returns whether it does */
  transportReset(address: ScsiAddress, reason: number): boolean;
  /** @param sense additional sense code in the low byte, its qualifier in the next */
  parametersChanged(address: ScsiAddress, sense: number): void;
}

/** A device that is a unit of a controller. */
export interface ScsiDevice {
  /** @throws an error for the user */
  connect(controller: ScsiController, address: ScsiAddress, news: ScsiNews): void;
  disconnect(): void;
  /** Of its medium's image, as `BlockBackend.corruption`. */
  readonly corruption: string | null;
  /** Reports errors of the host's disk to the user, and with null their end. */
  reportDiskErrors(text: string | null): void;
  /** Requests to its medium have failed on the host; `text` says so. */
  diskFailed(errors: DiskErrors, text: string): void;
}
