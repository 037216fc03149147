import type { HostRegion } from '../../devices/vfio/host-device.ts';

/** Where the MSI-X table of a device is: in BAR `bar`. */
export type MsixTable = { readonly bar: number; readonly offset: number; readonly size: number };

const STATUS = 0x06;
const STATUS_CAPABILITIES = 0x10;
const CAPABILITIES = 0x34;
const MSIX = 0x11;
const MAX_CAPABILITIES = 48;
const ENTRY_BYTES = 16;

/** By its capability (PCI Local Bus 3.0 §6.8.2); null: the device has none. */
export function findMsixTable(config: Pick<HostRegion, 'read'>): MsixTable | null {
  const read = (offset: number, size: number) => {
    const bytes = new Uint8Array(4);
    config.read(offset, bytes.subarray(0, size));
    return new DataView(bytes.buffer).getUint32(0, true);
  };
  if ((read(STATUS, 2) & STATUS_CAPABILITIES) === 0) return null;
  let at = read(CAPABILITIES, 1) & 0xfc;
  for (let count = 0; at !== 0 && count < MAX_CAPABILITIES; count++) {
    if (read(at, 1) === MSIX) {
      const entries = (read(at + 2, 2) & 0x7ff) + 1;
      const table = read(at + 4, 4);
      return { bar: table & 7, offset: (table & ~7) >>> 0, size: entries * ENTRY_BYTES };
    }
    at = read(at + 1, 1) & 0xfc;
  }
  return null;
}
