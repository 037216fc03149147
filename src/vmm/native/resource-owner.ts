/**
 * Who closes a VM's fds and unmaps its memory. The native VM is the owner in a running vring, so that nothing is left
 * behind when the machine thread dies in the middle of something. Everything that opens or maps hands it over at once.
 */
export interface ResourceOwner {
  /** Takes over `fd`. @returns it, so that a call can be wrapped. */
  ownFd(fd: number): number;
  /** Takes over a mapping of `length` bytes. */
  ownMap(address: bigint, length: number): void;
  /** Closes an owned fd now, before the owner's own end. */
  closeFd(fd: number): void;
}
