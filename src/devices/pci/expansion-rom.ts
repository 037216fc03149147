import { PAGE } from '../host-block.ts';

/** Headers of an image in an expansion ROM (PCI Firmware Specification 3.0 §5.1, PCI Local Bus 3.0 §6.3.1). */
const HEADER = { signature: 0xaa55, length: 0x02, data: 0x18, unit: 512, least: 0x1a } as const;
/** Offsets in its PCI data structure. */
const DATA = {
  signature: 'PCIR',
  vendor: 4,
  device: 6,
  imageLength: 0x10,
  codeType: 0x14,
  indicator: 0x15,
  size: 0x18,
} as const;
const LAST_IMAGE = 0x80;
const X86_CODE = 0;
/** The largest ROM of a device: 16 MiB. */
export const MAX_ROM = 2 ** 24;

/** The IDs that firmware compares with those of the function. */
export type RomIds = { readonly vendor: number; readonly device: number };

/** A valid ROM, and a warning for the user. */
export type ExpansionRom = { readonly bytes: Uint8Array; readonly warnings: readonly string[] };

/**
 * Checks a file that replaces the ROM of a device.
 * @param name the file's, for errors
 * @throws an error for the user if it is not an expansion ROM
 */
export function checkRom(name: string, bytes: Uint8Array, ids: RomIds): ExpansionRom {
  if (bytes.length > MAX_ROM)
    throw new Error(`${name} is larger than the 16 MiB allowed for an expansion ROM`);
  const image = firstImage(bytes);
  if (image === null) {
    throw new Error(
      `${name} is not an expansion ROM: it has no PCI data structure (signatures 55 AA and PCIR)`,
    );
  }
  const warnings: string[] = [];
  if (image.vendor !== ids.vendor || image.device !== ids.device) {
    const text = ({ vendor, device }: RomIds) => `${hex(vendor)}:${hex(device)}`;
    warnings.push(
      `${name} is the ROM of a ${text(image)}, and the guest sees a ${text(ids)}: its firmware will not run it`,
    );
  }
  if (image.end > bytes.length) warnings.push(`${name} is truncated: it ends before its first image does`);
  return { bytes, warnings };
}

/**
 * Sets the IDs in the images of a device's ROM to those that the guest sees: firmware runs no others.
 * @param from only images with these IDs; default: all
 */
export function withIds(rom: Uint8Array, to: RomIds, from?: RomIds): Uint8Array {
  const bytes = rom.slice();
  const view = new DataView(bytes.buffer);
  for (let at = 0; ; ) {
    const image = imageAt(bytes, at);
    if (image === null) return bytes;
    if (from === undefined || (image.vendor === from.vendor && image.device === from.device)) {
      view.setUint16(image.data + DATA.vendor, to.vendor, true);
      view.setUint16(image.data + DATA.device, to.device, true);
      if (image.codeType === X86_CODE) fixChecksum(bytes.subarray(at, Math.min(image.end, bytes.length)));
    }
    if (image.isLast || image.end <= at) return bytes;
    at = image.end;
  }
}

/** The smallest BAR for a ROM: a power of two, in whole pages. */
export function romBarSize(bytes: number): number {
  return Math.max(PAGE, 2 ** Math.ceil(Math.log2(bytes)));
}

type Image = RomIds & {
  /** The offset of its PCI data structure. */
  readonly data: number;
  readonly end: number;
  readonly codeType: number;
  readonly isLast: boolean;
};

/** The first image of a ROM; null if it has none that can run. */
export function firstImage(bytes: Uint8Array): Image | null {
  return imageAt(bytes, 0);
}

function imageAt(bytes: Uint8Array, at: number): Image | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (at + HEADER.least > bytes.length || view.getUint16(at, true) !== HEADER.signature) return null;
  const data = at + view.getUint16(at + HEADER.data, true);
  if (data + DATA.size > bytes.length) return null;
  if (String.fromCharCode(...bytes.subarray(data, data + 4)) !== DATA.signature) return null;
  return {
    data,
    vendor: view.getUint16(data + DATA.vendor, true),
    device: view.getUint16(data + DATA.device, true),
    end: at + HEADER.unit * view.getUint16(data + DATA.imageLength, true),
    codeType: bytes[data + DATA.codeType]!,
    isLast: (bytes[data + DATA.indicator]! & LAST_IMAGE) !== 0,
  };
}

/** All bytes of an image for a PC must add up to 0; byte 6 compensates for the others, as in QEMU. */
function fixChecksum(image: Uint8Array): void {
  const at = 6;
  const sum = image.reduce((total, byte) => total + byte, 0);
  image[at] = (image[at]! - sum) & 0xff;
}

function hex(id: number): string {
  return id.toString(16).padStart(4, '0');
}
