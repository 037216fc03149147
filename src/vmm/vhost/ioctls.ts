/** The ioctls of /dev/vhost-net (linux/vhost.h, linux/vhost_types.h). A test compares them with the real headers. */
import { Struct } from '../kvm/c-struct.ts';

const TYPE = 0xaf;

/** _IO, _IOW, _IOR and _IOWR of asm-generic/ioctl.h. */
const io = (number: number) => (TYPE << 8) | number;
const iow = (number: number, size: number) => 0x4000_0000 + size * 0x1_0000 + io(number);
const ior = (number: number, size: number) => 0x8000_0000 + size * 0x1_0000 + io(number);
const iowr = (number: number, size: number) => 0xc000_0000 + size * 0x1_0000 + io(number);

export const vhostVringState = new Struct('vhost_vring_state', { index: 'u32', num: 'u32' });

/** `fd` is -1 for none. */
export const vhostVringFile = new Struct('vhost_vring_file', { index: 'u32', fd: 's32' });

/** Addresses in this process, and in the guest for `log_guest_addr`. */
export const vhostVringAddr = new Struct('vhost_vring_addr', {
  index: 'u32',
  flags: 'u32',
  desc_user_addr: 'u64',
  used_user_addr: 'u64',
  avail_user_addr: 'u64',
  log_guest_addr: 'u64',
});

export const vhostMemoryRegion = new Struct('vhost_memory_region', {
  guest_phys_addr: 'u64',
  memory_size: 'u64',
  userspace_addr: 'u64',
  flags_padding: 'u64',
});

/** `nregions` regions follow. */
export const vhostMemory = new Struct('vhost_memory', { nregions: 'u32', padding: { padding: 4 } });

const U64 = 8;

export const IOCTLS = {
  VHOST_GET_FEATURES: ior(0x00, U64),
  VHOST_SET_FEATURES: iow(0x00, U64),
  VHOST_SET_OWNER: io(0x01),
  VHOST_RESET_OWNER: io(0x02),
  VHOST_SET_MEM_TABLE: iow(0x03, vhostMemory.size),
  VHOST_SET_LOG_BASE: iow(0x04, U64),
  VHOST_SET_VRING_NUM: iow(0x10, vhostVringState.size),
  VHOST_SET_VRING_ADDR: iow(0x11, vhostVringAddr.size),
  VHOST_SET_VRING_BASE: iow(0x12, vhostVringState.size),
  VHOST_GET_VRING_BASE: iowr(0x12, vhostVringState.size),
  VHOST_SET_VRING_KICK: iow(0x20, vhostVringFile.size),
  VHOST_SET_VRING_CALL: iow(0x21, vhostVringFile.size),
  VHOST_SET_VRING_ERR: iow(0x22, vhostVringFile.size),
  VHOST_NET_SET_BACKEND: iow(0x30, vhostVringFile.size),
} as const;

export type VhostIoctl = keyof typeof IOCTLS;

/** A feature bit: the kernel logs its writes to guest memory. */
export const VHOST_F_LOG_ALL = 26;
/** In `vhost_vring_addr`: writes to the used ring are logged at `log_guest_addr`. */
export const VHOST_VRING_F_LOG = 0;
