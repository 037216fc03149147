import type { DiskErrors } from '../backends/disk.ts';
import type { ScsiAddress, ScsiController } from './scsi-host.ts';

/** What a controller reports to its driver about units, if the driver has asked for that. */
export interface ScsiEvents {
  /** @returns whether the driver has asked for it */
  transportReset(address: ScsiAddress, reason: number): boolean;
  /** @param sense additional sense code in the low byte, its qualifier in the next */
  parametersChanged(address: ScsiAddress, sense: number): void;
}

/** A device that is a unit of a controller. */
export interface ScsiDevice {
  /** @throws an error for the user */
  connect(controller: ScsiController, address: ScsiAddress, events: ScsiEvents): void;
  disconnect(): void;
  /** The corruption of its medium's image, as `BlockBackend.corruption`. */
  readonly corruption: string | null;
  /** Reports errors of the host's disk to the user; null ends the report. */
  reportDiskErrors(text: string | null): void;
  /** Requests to its medium have failed on the host, as `text` describes. */
  diskFailed(errors: DiskErrors, text: string): void;
}
