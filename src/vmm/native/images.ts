import { chainFileStruct, IMAGE_FLAG, imageConfigStruct } from './abi.ts';
import { checked, nativeCalls } from './native-library.ts';
import { readText } from './native-text.ts';

/** A file of an image's chain. */
export type ChainFile = { readonly fd: number; readonly isQcow2: boolean };

export type ImageOptions = {
  readonly readonly: boolean;
  /** Discarded space is returned to the file system. */
  readonly canDiscard: boolean;
  /** When writes are made durable: on the guest's request, before each write completes, or never. */
  readonly durability: 'asked' | 'always' | 'never';
  /** Whether writes of only zeros zero the range instead; with `unmap`, they also release its space if discards do. */
  readonly detectZeroes?: 'off' | 'on' | 'unmap';
};

/**
 * Opens a raw image of `size` bytes, a multiple of 512, in the open file of `fd`, which is duplicated.
 * @param vm handle of the native VM, here as below. @returns its handle
 */
export function openImage(vm: number, fd: number, size: number, options: ImageOptions): number {
  const config = imageConfigStruct.encode({ capacity: BigInt(size), fd, flags: imageFlags(options) });
  return checked('vring_image_open', nativeCalls().vring_image_open(vm, config));
}

/**
 * Opens a qcow2 image whose chain of files is open, itself first; the fds are duplicated. @returns its handle
 * @throws SystemError EBADMSG if it is unusable, as reported by `inspectQcow2`
 */
export function openQcow2Image(vm: number, chain: readonly ChainFile[], options: ImageOptions): number {
  const config = imageConfigStruct.encode({ capacity: 0n, fd: -1, flags: imageFlags(options) });
  const files = new Uint8Array(chain.length * chainFileStruct.size);
  for (const [index, { fd, isQcow2 }] of chain.entries())
    chainFileStruct.write(files, { fd, qcow2: Number(isQcow2) }, index * chainFileStruct.size);
  const result = nativeCalls().vring_image_open_qcow2(vm, config, files, chain.length);
  return checked('vring_image_open_qcow2', result);
}

/** Sets how requests that fail on the host are handled: `ERROR_ACTION`s. */
export function setErrorPolicy(vm: number, image: number, reads: number, writes: number): void {
  const result = nativeCalls().vring_image_set_policy(vm, image, reads, writes);
  checked('vring_image_set_policy', result);
}

/** Why an image is no longer written, because its tables are wrong; empty if they are not known to be. */
export function imageCorruption(vm: number, image: number): string {
  return readText('vring_image_corruption', (text, length) =>
    nativeCalls().vring_image_corruption(vm, image, text, length),
  );
}

/** The file is closed once no queue uses it. */
export function closeImage(vm: number, image: number): void {
  checked('vring_image_close', nativeCalls().vring_image_close(vm, image));
}

/**
 * Changes the size for requests that begin from now on: bytes, a multiple of 512. The file already has its new size.
 */
export function resizeImage(vm: number, image: number, size: number): void {
  checked('vring_image_resize', nativeCalls().vring_image_resize(vm, image, BigInt(size)));
}

/**
 * Sets whether writes that begin from now on are durable when they complete, for drivers that can choose
 * (VIRTIO_BLK_F_CONFIG_WCE).
 */
export function setWriteThrough(vm: number, image: number, on: boolean): void {
  const result = nativeCalls().vring_image_set_write_through(vm, image, Number(on));
  checked('vring_image_set_write_through', result);
}

function imageFlags({ readonly, canDiscard, durability, detectZeroes }: ImageOptions): number {
  return (
    (readonly ? IMAGE_FLAG.readonly : 0) |
    (canDiscard ? IMAGE_FLAG.discard : 0) |
    (durability === 'never' ? IMAGE_FLAG.volatile : 0) |
    (durability === 'always' ? IMAGE_FLAG.writeThrough : 0) |
    (detectZeroes === 'on' ? IMAGE_FLAG.detectZeroes : 0) |
    (detectZeroes === 'unmap' ? IMAGE_FLAG.unmapZeroes : 0)
  );
}
