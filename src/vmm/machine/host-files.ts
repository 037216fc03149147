import { isDeepStrictEqual } from 'node:util';
import type { DiskOptions } from '../../devices/backends/disk.ts';
import { type OpenDisk, openDisk } from '../backends/open-disk.ts';
import { type ImageFile, type ImagePurpose, imageOfFd, openImageFd } from '../boot/image-file.ts';
import { openKvmDevice } from '../kvm/kvm.ts';
import * as libc from '../native/libc.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';

type KeptFile = { readonly path: string; fd: number };
type KeptDisk = { readonly options: DiskOptions; readonly disk: OpenDisk; fd: number };

/**
 * The host's files that a machine uses. Its first boot opens them, and keeps them open: a later boot finds the same files, although the
 * process has been confined meanwhile, whatever their paths lead to by then, and whatever the guest has written to its disks, whose
 * format is not probed again. QEMU keeps its files open in the same way.
 */
export class HostFiles {
  #owner: ResourceOwner;
  #disks: KeptDisk[] = [];
  #images: KeptFile[] = [];
  #kvm: KeptFile | null = null;
  /** Disks that a device of this boot has. */
  readonly #taken = new Set<KeptDisk>();
  #boots = 1;

  /** @param owner what the files of the first boot belong to */
  constructor(owner: ResourceOwner) {
    this.#owner = owner;
  }

  get isFirstBoot(): boolean {
    return this.#boots === 1;
  }

  /** The files outlive the boot that ends now: they no longer belong to its owner. `attach` must follow. */
  detach(): void {
    for (const file of this.#kept) file.fd = libc.duplicate(file.fd);
  }

  /** The files belong to the next boot. */
  attach(owner: ResourceOwner): void {
    this.#owner = owner;
    this.#boots++;
    this.#taken.clear();
    for (const { fd } of this.#kept) owner.ownFd(fd);
  }

  /** @returns an fd of /dev/kvm, for the caller to close. @throws KvmError */
  openKvm(): number {
    this.#kvm ??= { path: '/dev/kvm', fd: this.#owner.ownFd(openKvmDevice()) };
    return libc.duplicate(this.#kvm.fd);
  }

  /** @throws BootError */
  openImage(path: string, purpose: ImagePurpose): ImageFile {
    let file = this.#images.find(file => file.path === path);
    if (file === undefined) {
      file = { path, fd: this.#owner.ownFd(openImageFd(path, purpose)) };
      this.#images.push(file);
    }
    return imageOfFd(path, libc.duplicate(file.fd));
  }

  /** Opens and locks a disk; its fd is the caller's. @throws DiskError */
  openDisk(options: DiskOptions): OpenDisk {
    let kept = this.#disks.find(kept => !this.#taken.has(kept) && isDeepStrictEqual(kept.options, options));
    if (kept === undefined) {
      const disk = openDisk(options);
      kept = { options, disk, fd: this.#owner.ownFd(disk.fd) };
      this.#disks.push(kept);
    }
    this.#taken.add(kept);
    return { ...kept.disk, fd: libc.duplicate(kept.fd) };
  }

  get #kept(): (KeptFile | KeptDisk)[] {
    return [...this.#disks, ...this.#images, ...(this.#kvm === null ? [] : [this.#kvm])];
  }
}
