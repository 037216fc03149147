import type { IoHandler } from '../../device.ts';
import { RegionAccess } from '../region-access.ts';
import { type Quirk, type QuirkTarget, trapBar } from './quirk.ts';

/** Registers of BAR 2 (OCP and ERI access): an address, and data to write there or read from there. */
const BAR = 2;
const DATA = 0x70;
const ADDRESS = 0x74;
/** The selected table of the device: 1 is the MSI-X table. */
const TABLE = { mask: 0x7fff_0000, msix: 0x0001_0000 } as const;
const OFFSET = 0x0fff;
/** Set by the writer, and flipped by the device when it is done. */
const WRITE = 0x8000_0000;

export const RTL8168_QUIRK: Quirk = {
  name: 'RTL8168 MSI-X table by registers of BAR 2',
  why: "Windows drivers of some versions set up MSI-X there instead of in the table that the guest sees, and would write messages of the guest to the host's",
  source: 'QEMU hw/vfio/pci-quirks.c',
  concerns: ({ vendor, device }) => vendor === 0x10ec && device === 0x8168,
  apply: target => {
    if (target.msix !== null) addRegisters(target, target.msix);
  },
};

function addRegisters(target: QuirkTarget, msix: NonNullable<QuirkTarget['msix']>): void {
  const { host, onError } = target;
  const data = new RegionAccess(host.region(BAR), onError, DATA);
  const address = new RegionAccess(host.region(BAR), onError, ADDRESS);
  /** The last address written, if it is in the table; null if it was passed to the device. */
  let selected: number | null = null;
  let written = 0;
  const atData: IoHandler = {
    read: (offset, size) => {
      const value = data.read(offset, size);
      return selected === null ? value : msix.readTable((selected & OFFSET) + offset);
    },
    write: (offset, size, value) => {
      if (offset === 0) written = value;
      data.write(offset, size, value);
    },
  };
  const atAddress: IoHandler = {
    read: (offset, size) =>
      selected === null ? address.read(offset, size) : ((selected ^ WRITE) >>> (8 * offset)) >>> 0,
    write: (offset, size, value) => {
      selected = offset === 0 && size === 4 && (value & TABLE.mask) === TABLE.msix ? value : null;
      if (selected === null) address.write(offset, size, value);
      else if ((selected & WRITE) !== 0) msix.writeTable(selected & OFFSET, 4, written);
    },
  };
  trapBar(target, BAR, { start: DATA, size: 4, handler: atData });
  trapBar(target, BAR, { start: ADDRESS, size: 4, handler: atAddress });
}
