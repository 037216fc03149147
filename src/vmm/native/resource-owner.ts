/**
 * Closes a VM's fds and unmaps its memory. In a running vring the native VM is the owner, so that nothing leaks if the
 * machine thread dies at an arbitrary point. Code that opens or maps something must hand it over immediately.
 */
export interface ResourceOwner {
  /** Takes over `fd`. @returns it, so that calls can be wrapped. */
  ownFd(fd: number): number;
  /** Takes over a mapping of `length` bytes. */
  ownMap(address: bigint, length: number): void;
  /** Closes an owned fd now, before the owner is closed. */
  closeFd(fd: number): void;
}
