import type { GuestMemory } from '../../devices/guest-memory.ts';
import { KERNEL_START, LOW_MEMORY, LOW_RAM_END } from '../memory/layout.ts';
import { BootError } from './boot-error.ts';
import type { ImageFile } from './image-file.ts';
import { lowRamEnd } from './memory-map.ts';

/** What to boot, and the memory to load it into. */
export type KernelLoad = {
  readonly kernel: ImageFile;
  readonly initrd: ImageFile | null;
  /** For a multiboot kernel, in place of an initrd. */
  readonly modules: readonly BootModule[];
  readonly commandLine: string;
  readonly memory: GuestMemory;
  /** Guest-physical address of the ACPI RSDP. */
  readonly rsdp: number;
  /** What a screen shows so far; null if there is none. */
  readonly textMode: TextMode | null;
};

/** In characters; the height of one in dots. */
export type TextMode = { readonly columns: number; readonly rows: number; readonly fontHeight: number };

export type BootModule = { readonly image: ImageFile; readonly commandLine: string };

export type Placed = { readonly address: number; readonly size: number };

const PAGE = 4096;
const MiB = 2 ** 20;
/** The longest command line that Linux keeps on x86 (COMMAND_LINE_SIZE - 1), for protocols without their own limit. */
export const DEFAULT_COMMAND_LINE_MAX = 2047;

/** Writes the NUL-terminated command line to its place. @param max most bytes before the NUL. */
export function writeCommandLine({ commandLine, memory, kernel }: KernelLoad, max: number): Placed {
  const room = Math.min(max, LOW_MEMORY.end - LOW_MEMORY.commandLine - 1);
  const bytes = Buffer.byteLength(commandLine);
  if (bytes > room) {
    throw new BootError(
      `the kernel command line has ${bytes} bytes, but ${kernel.name} accepts at most ${room}: shorten it`,
    );
  }
  return writeText(memory, LOW_MEMORY.commandLine, commandLine, 'the kernel command line');
}

/** Writes a text and its NUL at `address`. @param what it is, for errors. @returns its place without the NUL */
export function writeText(memory: GuestMemory, address: number, text: string, what: string): Placed {
  const bytes = Buffer.from(text);
  if (bytes.includes(0)) throw new BootError(`${what} contains a NUL character: remove it`);
  const target = memory.writable(address, bytes.length + 1);
  target.set(bytes);
  target[bytes.length] = 0;
  return { address, size: bytes.length };
}

/**
 * Copies the initrd as high as allowed: whole pages in low RAM, between `kernelEnd` and the last byte `highest`.
 * @returns null if there is none.
 */
export function placeInitrd(load: KernelLoad, kernelEnd: number, highest: number): Placed | null {
  const { initrd } = load;
  return (
    initrd && placeImage(load, initrd, 'initrd', kernelEnd, Math.min(lowRamEnd(load.memory), highest + 1))
  );
}

/** Copies an image to whole pages, as high as possible between `start` and `end`. */
export function placeImage(
  { memory }: KernelLoad,
  image: ImageFile,
  purpose: 'initrd' | 'module',
  start: number,
  end: number,
): Placed {
  if (image.size === 0) throw new BootError(`the ${purpose} ${image.name} is empty`);
  const lowest = alignUp(start, PAGE);
  const address = alignDown(end - image.size, PAGE);
  if (address < lowest) {
    throw new BootError(
      `the ${purpose} ${image.name} is too large: it has ${mib(image.size)}, but between the kernel's end and ` +
        `${mib(end)} the guest has room for ${mib(Math.max(0, end - lowest))}; give the guest more memory or use a smaller ${purpose}`,
    );
  }
  image.readInto(memory.writable(address, image.size), 0, 'content');
  return { address, size: image.size };
}

/** @throws BootError unless [address, address + size) is RAM below 4 GiB that the boot data doesn't need. */
export function checkKernelPlace(
  { kernel, memory }: KernelLoad,
  address: number,
  size: number,
  part: string,
): void {
  const place = `its ${part} needs 0x${address.toString(16)}-0x${(address + size).toString(16)}`;
  if (address < KERNEL_START) {
    throw new BootError(`${kernel.name} does not fit: ${place}, but a kernel must be above the first MiB`);
  }
  const end = lowRamEnd(memory);
  if (address + size <= end) return;
  const advice = end < LOW_RAM_END ? 'give the guest more memory' : 'a kernel must be loaded below that';
  throw new BootError(
    `${kernel.name} does not fit in the guest's memory: ${place}, but RAM ends at ${mib(end)}; ${advice}`,
  );
}

export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

function alignDown(value: number, alignment: number): number {
  return Math.floor(value / alignment) * alignment;
}

function mib(bytes: number): string {
  return `${Math.ceil((bytes / MiB) * 10) / 10} MiB`;
}
