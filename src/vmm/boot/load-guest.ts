import type { GuestMemory } from '../../devices/guest-memory.ts';
import type { BootConfig } from '../machine/config.ts';
import type { BootEntry } from './boot-entry.ts';
import type { ImageFile, ImagePurpose } from './image-file.ts';
import { loadKernel } from './load-kernel.ts';

export type GuestLoad = {
  readonly memory: GuestMemory;
  /** Guest-physical address of the ACPI RSDP. */
  readonly rsdp: number;
  /** Opens a file of the host. @throws BootError */
  readonly open: (path: string, purpose: ImagePurpose) => ImageFile;
};

/** How each kind of boot puts what it boots into RAM. */
const loaders: {
  readonly [Kind in BootConfig['kind']]: (
    boot: Extract<BootConfig, { kind: Kind }>,
    load: GuestLoad,
  ) => BootEntry;
} = {
  kernel: ({ path, initrd, modules, append }, { open, memory, rsdp }) =>
    loadKernel({
      kernel: open(path, 'kernel'),
      initrd: initrd === undefined ? null : open(initrd, 'initrd'),
      modules: modules.map(({ path, commandLine }) => ({ image: open(path, 'module'), commandLine })),
      commandLine: append,
      memory,
      rsdp,
    }),
};

/** Puts what a machine boots into its RAM. @returns how the boot processor enters it. @throws BootError */
export function loadGuest(boot: BootConfig, load: GuestLoad): BootEntry {
  const images: ImageFile[] = [];
  const open = (path: string, purpose: ImagePurpose) => {
    const image = load.open(path, purpose);
    images.push(image);
    return image;
  };
  try {
    return loaders[boot.kind](boot, { ...load, open });
  } finally {
    for (const image of images) image.close();
  }
}
