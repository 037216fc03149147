import { ioctl } from '../native/libc.ts';
import { IOCTLS, type VhostIoctl } from './ioctls.ts';

/** An open /dev/vhost-net. */
export interface VhostFile {
  /** One ioctl by name. @param argument an integer, or a struct that the kernel reads or fills. @throws SystemError */
  call(name: VhostIoctl, argument?: number | bigint | Uint8Array): void;
}

/** The file behind an fd, which the caller keeps. */
export function vhostFile(fd: number): VhostFile {
  return { call: (name, argument = 0) => void ioctl(fd, name, IOCTLS[name], argument) };
}
