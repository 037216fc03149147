import { existsSync } from 'node:fs';
import type { DiskOptions } from '../../devices/backends/disk.ts';
import { lockDisk } from '../backends/disk-lock.ts';
import type { GivenWire } from '../backends/net/given-wires.ts';
import { type Wire, wireFds } from '../backends/net/wire.ts';
import { fdsOf, type OpenDisk, openDisk } from '../backends/open-disk.ts';
import { firmwareFile } from '../boot/firmware-files.ts';
import type { FlashFile } from '../boot/firmware-flash.ts';
import { type ImageFile, type ImagePurpose, imageOfFd, openImageFd } from '../boot/image-file.ts';
import { close, duplicate, pwrite } from '../native/libc.ts';
import { unlock } from '../native/ofd-lock.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import type { BootConfig, FirmwareBoot } from './config.ts';
import { readOpenFile, readSmallFile } from './small-file.ts';

/** A disk that a machine has open; the machine owns its fds. */
export type HeldDisk = DiskOptions & OpenDisk;
type HeldImage = { readonly path: string; readonly fd: number };

/** The files that another process had open, and nothing else: a machine that takes them over opens no file itself. */
export type GivenFiles = {
  readonly disks: readonly HeldDisk[];
  readonly images: readonly HeldImage[];
  readonly wires?: readonly GivenWire[];
};

/**
 * The files that a machine has open: its disks, its networks, and what it boots from. The boot files stay open: a reset
 * finds the same ones, although the process has since been confined, and wherever their paths lead by then. QEMU keeps
 * its files open in the same way.
 */
export class HostFiles {
  readonly #owner: ResourceOwner;
  readonly #disks: HeldDisk[] = [];
  readonly #images: HeldImage[];
  /** Paths of those that the machine writes. */
  readonly #flashes = new Set<string>();
  /** Disks that no device has taken yet; null if they are opened. */
  readonly #given: HeldDisk[] | null;
  /** Networks of devices. */
  readonly #wires: GivenWire[] = [];
  /** Networks that no device has taken yet. Its manager opens them: the machine has its own network namespace. */
  #givenWires: GivenWire[] = [];
  /** A small file of the device being plugged in, opened by the manager: the process can no longer open files. */
  #smallFile: { readonly path: string; readonly fd: number } | null = null;
  /** The disk of the device that is being plugged in, which its manager has opened. */
  #plugged: HeldDisk | null = null;

  /** @param given this object takes over its fds */
  constructor(owner: ResourceOwner, given: GivenFiles | null = null) {
    this.#owner = owner;
    this.#given = given && [...given.disks];
    this.#images = [...(given?.images ?? [])];
    for (const { fd } of this.#images) owner.ownFd(fd);
    this.giveWires(given?.wires ?? []);
  }

  /**
   * The next device to be created gets this disk, whose fds this object takes over.
   * @returns closes it unless a device has taken it
   */
  give(disk: HeldDisk): () => void {
    this.#plugged = disk;
    return () => {
      const left = this.#plugged;
      this.#plugged = null;
      if (left !== null) for (const fd of fdsOf(left)) close(fd);
    };
  }

  /** The next device to be created reads this file, whose fd this object takes over. @returns closes it */
  giveFile(path: string, fd: number): () => void {
    this.#smallFile = { path, fd };
    return () => {
      this.#smallFile = null;
      close(fd);
    };
  }

  /** Reads a whole file of at most `limit` bytes. @throws an error for the user */
  readFile(path: string, limit: number): Uint8Array {
    const given = this.#smallFile;
    if (given === null || given.path !== path) return readSmallFile(path, limit);
    return readOpenFile(given.fd, path, limit);
  }

  /** Opens and locks a disk. @returns it, with the owner to which its fd should be transferred. @throws DiskError */
  openDisk(options: DiskOptions): { readonly disk: OpenDisk; readonly owner: ResourceOwner } {
    const disk =
      this.#takePlugged(options) ?? (this.#given === null ? openDisk(options) : this.#takeGiven(options));
    const { path, format, label, readonly, cache, transient } = options;
    // The same object, since its size may change.
    this.#disks.push(Object.assign(disk, { path, format, label, readonly, cache, transient }));
    const owner = this.#owner;
    return {
      disk,
      owner: {
        ownFd: fd => owner.ownFd(fd),
        ownMap: (address, length) => owner.ownMap(address, length),
        closeFd: fd => {
          const index = this.#disks.findIndex(disk => disk.fd === fd);
          if (index >= 0) this.#disks.splice(index, 1);
          owner.closeFd(fd);
        },
      },
    };
  }

  /**
   * The devices with these names get these networks, whose fds this object takes over.
   * @returns closes those that no device has taken
   */
  giveWires(wires: readonly GivenWire[]): () => void {
    this.#givenWires.push(...wires);
    return () => {
      const left = this.#givenWires.filter(given => wires.includes(given));
      this.#givenWires = this.#givenWires.filter(given => !wires.includes(given));
      for (const fd of left.flatMap(({ wire }) => wireFds(wire))) close(fd);
    };
  }

  /**
   * The network that was opened for a device, with the owner to which its fds should be transferred.
   * @throws if there is none
   */
  openWire(device: string): { readonly wire: Wire; readonly owner: ResourceOwner } {
    const index = this.#givenWires.findIndex(given => given.device === device);
    if (index < 0) throw new Error(`the network of ${device} did not reach the machine: try again`);
    const [given] = this.#givenWires.splice(index, 1);
    this.#wires.push(given!);
    const owner = this.#owner;
    return {
      wire: given!.wire,
      owner: {
        ownFd: fd => owner.ownFd(fd),
        ownMap: (address, length) => owner.ownMap(address, length),
        closeFd: fd => {
          const index = this.#wires.indexOf(given!);
          if (index >= 0) this.#wires.splice(index, 1);
          owner.closeFd(fd);
        },
      },
    };
  }

  /** The networks of its devices. */
  get wires(): readonly GivenWire[] {
    return this.#wires;
  }

  /** @throws BootError */
  openImage(path: string, purpose: ImagePurpose): ImageFile {
    let image = this.#images.find(image => image.path === path);
    if (image === undefined) {
      image = { path, fd: this.#owner.ownFd(openImageFd(path, purpose)) };
      this.#images.push(image);
    }
    return imageOfFd(path, duplicate(image.fd));
  }

  /** Opens a machine's firmware. @throws BootError */
  openFirmware(boot: FirmwareBoot): ImageFile {
    const isHeld = (path: string) => this.#images.some(image => image.path === path);
    return this.openImage(
      firmwareFile(boot, path => isHeld(path) || existsSync(path)),
      'firmware',
    );
  }

  /** Opens the contents of flash memory, exclusively for this machine. @throws BootError, DiskError */
  openFlash(path: string): FlashFile {
    let held = this.#images.find(image => image.path === path);
    if (held === undefined) {
      const fd = this.#owner.ownFd(openImageFd(path, 'variables'));
      lockDisk(fd, path, false);
      held = { path, fd };
      this.#images.push(held);
    }
    this.#flashes.add(path);
    const { fd } = held;
    return {
      ...imageOfFd(path, fd),
      write: (bytes, offset) => {
        for (let done = 0; done < bytes.length; ) done += pwrite(fd, bytes.subarray(done), offset + done);
      },
    };
  }

  /** Opens the boot files of a machine that has not booted here, for a later reset. @throws BootError */
  openBoot(boot: BootConfig): void {
    // A machine with firmware maps it from the start.
    if (boot.kind === 'firmware') return;
    const { path, initrd, modules } = boot;
    const open = (path: string, purpose: ImagePurpose) => this.openImage(path, purpose).close();
    open(path, 'kernel');
    if (initrd !== undefined) open(initrd, 'initrd');
    for (const { path } of modules) open(path, 'module');
  }

  /** The disks that the machine has, in the order in which its devices opened them. */
  get disks(): readonly HeldDisk[] {
    return this.#disks;
  }

  get images(): readonly HeldImage[] {
    return this.#images;
  }

  /** fds of the files that the machine writes. */
  get written(): readonly number[] {
    return this.#locked.flatMap(({ fd, readonly }) => (readonly ? [] : [fd]));
  }

  /** Releases the locks of all disks, so that another host may use them. */
  unlock(): void {
    for (const { fd } of this.#locked) unlock(fd);
  }

  /** Takes the locks again, or none of them. @throws DiskError naming the file that is in use */
  lock(): void {
    try {
      for (const { fd, path, readonly } of this.#locked) lockDisk(fd, path, readonly);
    } catch (error) {
      this.unlock();
      throw error;
    }
  }

  /** The files with locks: disks, their backing files, and flash memory. */
  get #locked(): { readonly fd: number; readonly path: string; readonly readonly: boolean }[] {
    return [
      ...this.#disks.flatMap(({ fd, path, readonly, backing }) => [
        { fd, path, readonly },
        ...backing.map(file => ({ ...file, readonly: true })),
      ]),
      ...this.#images
        .filter(({ path }) => this.#flashes.has(path))
        .map(image => ({ ...image, readonly: false })),
    ];
  }

  /** All devices have their disks and networks. @throws if some given ones have not been taken */
  checkGiven(): void {
    const left = this.#given?.splice(0) ?? [];
    const wires = this.#givenWires.splice(0);
    for (const disk of left) for (const fd of fdsOf(disk)) close(fd);
    for (const { wire } of wires) for (const fd of wireFds(wire)) close(fd);
    if (wires.length > 0)
      throw new Error(`the VM has no device "${wires[0]!.device}", for which a network was opened`);
    if (left.length > 0) throw new Error(`no device has the disk ${left[0]!.path}, which the VM has open`);
  }

  #takePlugged(options: DiskOptions): OpenDisk | null {
    const disk = this.#plugged;
    if (disk === null || !isSameDisk(disk, options)) return null;
    this.#plugged = null;
    return disk;
  }

  #takeGiven(options: DiskOptions): OpenDisk {
    const index = this.#given!.findIndex(disk => isSameDisk(disk, options));
    if (index < 0) throw new Error(`the disk ${options.path} was not passed to the VM`);
    return this.#given!.splice(index, 1)[0]!;
  }
}

function isSameDisk(a: DiskOptions, b: DiskOptions): boolean {
  const isSame = a.path === b.path && a.format === b.format && a.readonly === b.readonly;
  return (
    isSame && a.label === b.label && a.cache === b.cache && (a.transient ?? false) === (b.transient ?? false)
  );
}
