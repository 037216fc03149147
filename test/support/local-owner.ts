import { close, munmap } from '../../src/vmm/native/libc.ts';
import type { ResourceOwner } from '../../src/vmm/native/resource-owner.ts';

/** Holds what a test opens and maps until the test releases it. */
export class LocalOwner implements ResourceOwner {
  readonly fds = new Set<number>();
  readonly maps: { readonly address: bigint; readonly length: number }[] = [];

  ownFd(fd: number): number {
    this.fds.add(fd);
    return fd;
  }

  ownMap(address: bigint, length: number): void {
    this.maps.push({ address, length });
  }

  closeFd(fd: number): void {
    this.fds.delete(fd);
    close(fd);
  }

  /** Views of the mappings must not be used any more. */
  release(): void {
    for (const { address, length } of this.maps.splice(0)) munmap(address, length);
    for (const fd of [...this.fds].reverse()) this.closeFd(fd);
  }
}
