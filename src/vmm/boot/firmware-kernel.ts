import { type FwCfgItems, KEY, u32 } from '../../devices/firmware/fw-cfg-items.ts';
import type { GuestMemory } from '../../devices/guest-memory.ts';
import { checksum } from '../acpi/table.ts';
import type { FirmwareBoot } from '../machine/config.ts';
import { KERNEL_START } from '../memory/layout.ts';
import { BootError } from './boot-error.ts';
import { HEADER, isBzImage } from './bzimage.ts';
import { type FileSources, fileItem, withImage } from './file-item.ts';
import { type ImageFile, type ImagePurpose, readBytes } from './image-file.ts';
import { lowRamEnd } from './memory-map.ts';

const KiB = 2 ** 10;
const MiB = 2 ** 20;
const SECTOR = 512;
const PAGE = 4096;

/** Where the ROM puts the setup code, and the command line after it: the end of its segment is its heap and stack. */
const HIGH = { setup: 0x1_0000, commandLine: 0x2_0000, code: KERNEL_START } as const;
/** Same, for images that are not loaded above 1 MiB: the code takes the low addresses. */
const LOW = { setup: 0x9_0000, commandLine: 0x9_a000, code: 0x1_0000 } as const;
/** Bytes of the setup header: it is in the first two sectors. */
const HEAD = 2 * SECTOR;
const LOADER = 0xb0;
const LOADED_HIGH = 0x01;
const CAN_USE_HEAP = 0x80;
const CAN_BE_ABOVE_4G = 0x02;
/** For protocols without such a field (Linux, Documentation/arch/x86/boot.rst). */
const INITRD_MAX = 0x37ff_ffff;
const SETUP_SECTORS = 4;
/** Before protocol 2.02, these locate the command line, in the segment of the setup code. */
const OLD_COMMAND_LINE = { magic: 0x20, offset: 0x22, value: 0xa33f } as const;
/** RAM below its end that firmware may use for tables and itself; the ROM asks it for the amount. */
const FIRMWARE_RAM = 1 * MiB;

/** The option ROM by which firmware boots a kernel (guest/linuxboot.S), and the name under which firmware finds it. */
export const LINUXBOOT = { file: 'genroms/linuxboot.bin', path: '/rom@genroms/linuxboot.bin' } as const;

export type FirmwareKernel = NonNullable<FirmwareBoot['kernel']>;

export type FirmwareKernelSources = FileSources & {
  readonly memory: GuestMemory;
  /** The ROM without its checksum. */
  readonly rom: () => Uint8Array;
};

/**
 * Lets firmware boot a kernel: SeaBIOS by an option ROM and its real-mode entry point, UEFI as an application. Both
 * read it, its initrd and command line from fw_cfg.
 * @throws BootError
 */
export function addKernelItems(
  items: FwCfgItems,
  firmware: FirmwareBoot['firmware'],
  { path, initrd, append }: FirmwareKernel,
  sources: FirmwareKernelSources,
): void {
  const use = <T>(file: string, purpose: ImagePurpose, read: (image: ImageFile) => T): T =>
    withImage(sources, file, purpose, read);
  const head = use(path, 'kernel', image => readBytes(image, 0, Math.min(image.size, HEAD), 'header'));
  const setup = isBzImage(head) ? setupOf(head) : null;
  if (setup === null && firmware === 'bios')
    throw new BootError(
      `${path} is not a kernel that a BIOS can start: give a bzImage, or leave out the firmware to boot it directly`,
    );
  const initrdSize = initrd === undefined ? 0 : use(initrd, 'initrd', image => image.size);
  const commandLine = Buffer.from(`${append}\0`);
  const { place, initrdMax = INITRD_MAX, bytes = head.subarray(0, 0), size = 0 } = setup ?? { place: HIGH };
  const kernelSize = use(path, 'kernel', image => image.size) - size;
  if (kernelSize <= 0)
    throw new BootError(`the kernel ${path} is truncated within its setup code: copy it again`);
  if (commandLine.length > LOW.commandLine - LOW.setup - SECTOR && place === LOW)
    throw new BootError(`the command line is too long for ${path}: shorten it`);
  if (commandLine.length > 64 * KiB) throw new BootError('the kernel command line is too long: shorten it');
  const end = Math.min(lowRamEnd(sources.memory) - FIRMWARE_RAM, initrdMax + 1);
  const initrdAddress = Math.floor((end - initrdSize) / PAGE) * PAGE;
  if (firmware === 'bios' && initrd !== undefined && initrdAddress < place.code + kernelSize)
    throw new BootError(
      `the initrd ${initrd} is too large: it has ${initrdSize} bytes, and the guest has no room for it beside the kernel: give it more memory`,
    );
  // A kernel for UEFI may be signed.
  if (setup !== null && firmware === 'bios')
    completeHeader(bytes, place, initrdSize === 0 ? 0 : initrdAddress, initrdSize);

  items.set(KEY.setupAddress, u32(place.setup));
  items.set(KEY.setupSize, u32(size));
  items.set(KEY.setupData, { ...fileItem(path, 'kernel', sources, { head: bytes }), size });
  items.set(KEY.kernelAddress, u32(place.code));
  items.set(KEY.kernelSize, u32(kernelSize));
  items.set(KEY.kernelData, fileItem(path, 'kernel', sources, { start: size }));
  items.set(KEY.commandLineAddress, u32(place.commandLine));
  items.set(KEY.commandLineSize, u32(append === '' && firmware === 'uefi' ? 0 : commandLine.length));
  items.set(KEY.commandLineData, commandLine);
  items.set(KEY.initrdAddress, u32(initrdSize === 0 ? 0 : initrdAddress));
  items.set(KEY.initrdSize, u32(initrdSize));
  if (initrd !== undefined) items.set(KEY.initrdData, fileItem(initrd, 'initrd', sources));
  if (firmware === 'bios') items.setFile(LINUXBOOT.file, romImage(sources.rom()));
}

type Setup = {
  readonly place: { readonly setup: number; readonly commandLine: number; readonly code: number };
  /** Of the setup code, with the boot sector. */
  readonly size: number;
  readonly initrdMax: number;
  /** The header, to be modified. */
  readonly bytes: Buffer;
};

function setupOf(head: Buffer): Setup {
  const version = head.readUInt16LE(HEADER.version);
  const isHigh = version >= 0x200 && (head.readUInt8(HEADER.loadflags) & LOADED_HIGH) !== 0;
  const sectors = head.readUInt8(HEADER.setupSects) || SETUP_SECTORS;
  const above4G = version >= 0x20c && (head.readUInt16LE(HEADER.xloadflags) & CAN_BE_ABOVE_4G) !== 0;
  const stated = version >= 0x203 ? head.readUInt32LE(HEADER.initrdAddrMax) : INITRD_MAX;
  return {
    place: isHigh ? HIGH : LOW,
    size: (sectors + 1) * SECTOR,
    initrdMax: above4G ? 0xffff_ffff : stated,
    bytes: head,
  };
}

/** Fills in the header fields of a boot loader. */
function completeHeader(
  bytes: Buffer,
  { setup, commandLine }: Setup['place'],
  initrd: number,
  initrdSize: number,
): void {
  const version = bytes.readUInt16LE(HEADER.version);
  if (version >= 0x200) {
    bytes.writeUInt8(LOADER, HEADER.typeOfLoader);
    bytes.writeUInt32LE(initrd, HEADER.ramdiskImage);
    bytes.writeUInt32LE(initrdSize, HEADER.ramdiskSize);
  }
  if (version >= 0x201) {
    bytes.writeUInt16LE(commandLine - setup - SECTOR, HEADER.heapEndPtr);
    bytes.writeUInt8(bytes.readUInt8(HEADER.loadflags) | CAN_USE_HEAP, HEADER.loadflags);
  }
  if (version >= 0x202) bytes.writeUInt32LE(commandLine, HEADER.cmdLinePtr);
  else {
    bytes.writeUInt16LE(OLD_COMMAND_LINE.value, OLD_COMMAND_LINE.magic);
    bytes.writeUInt16LE(commandLine - setup, OLD_COMMAND_LINE.offset);
  }
}

/** In units of 512 bytes, with a byte sum of 0 (Plug and Play BIOS Specification §3.1). */
function romImage(code: Uint8Array): Uint8Array {
  const image = Buffer.alloc(Math.ceil(code.length / SECTOR) * SECTOR);
  image.set(code);
  image[image.length - 1] = checksum(image.subarray(0, -1));
  return image;
}
