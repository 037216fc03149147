import { type ImageFile, type ImagePurpose, imageOfFd, openImageFd } from '../boot/image-file.ts';
import { duplicate } from '../native/libc.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';

/**
 * The files that a machine boots from. They stay open: a reset finds the same ones, although the process has been confined
 * meanwhile, and whatever their paths lead to by then. QEMU keeps its files open in the same way.
 */
export class BootImages {
  readonly #owner: ResourceOwner;
  readonly #fds = new Map<string, number>();

  constructor(owner: ResourceOwner) {
    this.#owner = owner;
  }

  /** @throws BootError */
  open(path: string, purpose: ImagePurpose): ImageFile {
    let fd = this.#fds.get(path);
    if (fd === undefined) {
      fd = this.#owner.ownFd(openImageFd(path, purpose));
      this.#fds.set(path, fd);
    }
    return imageOfFd(path, duplicate(fd));
  }
}
