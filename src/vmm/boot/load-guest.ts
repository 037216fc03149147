import type { GuestMemory } from '../../devices/guest-memory.ts';
import type { KernelBoot } from '../machine/config.ts';
import type { BootEntry } from './boot-entry.ts';
import type { ImageFile, ImagePurpose } from './image-file.ts';
import type { TextMode } from './kernel-load.ts';
import { loadKernel } from './load-kernel.ts';

export type GuestLoad = {
  readonly memory: GuestMemory;
  /** Guest-physical address of the ACPI RSDP. */
  readonly rsdp: number;
  /** What the machine's screen shows so far; null if it has none. */
  readonly textMode: TextMode | null;
  /** Opens a file of the host. @throws BootError */
  readonly open: (path: string, purpose: ImagePurpose) => ImageFile;
};

/** Loads the machine's kernel into its RAM. @returns how the boot processor enters it. @throws BootError */
export function loadGuest({ path, initrd, modules, append }: KernelBoot, load: GuestLoad): BootEntry {
  const { memory, rsdp, textMode } = load;
  const images: ImageFile[] = [];
  const open = (path: string, purpose: ImagePurpose) => {
    const image = load.open(path, purpose);
    images.push(image);
    return image;
  };
  try {
    return loadKernel({
      kernel: open(path, 'kernel'),
      initrd: initrd === undefined ? null : open(initrd, 'initrd'),
      modules: modules.map(({ path, commandLine }) => ({ image: open(path, 'module'), commandLine })),
      commandLine: append,
      memory,
      rsdp,
      textMode,
    });
  } finally {
    for (const image of images) image.close();
  }
}
