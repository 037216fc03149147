import { constants } from 'node:os';
import { FEATURE } from '../../src/devices/virtio/features.ts';
import { NET_FEATURE } from '../../src/devices/virtio/net-features.ts';
import { SystemError } from '../../src/vmm/native/libc.ts';
import {
  VHOST_F_LOG_ALL,
  type VhostIoctl,
  vhostMemory,
  vhostMemoryRegion,
  vhostVringAddr,
  vhostVringFile,
  vhostVringState,
} from '../../src/vmm/vhost/ioctls.ts';
import type { VhostFile } from '../../src/vmm/vhost/vhost-file.ts';

type Vring = {
  num: number;
  base: number;
  addresses: ReturnType<typeof vhostVringAddr.read> | null;
  kick: number;
  call: number;
  error: number;
  backend: number;
};

const newVring = (): Vring => ({
  ...{ num: 0, base: 0, addresses: null },
  ...{ kick: -1, call: -1, error: -1, backend: -1 },
});

/** The features that Linux's vhost-net offers. */
const OFFERED =
  FEATURE.version1 |
  FEATURE.ringIndirectDesc |
  FEATURE.ringEventIdx |
  NET_FEATURE.mergeableBuffers |
  (1n << BigInt(VHOST_F_LOG_ALL));

/**
 * A /dev/vhost-net that records its state, and refuses what the kernel refuses (drivers/vhost/vhost.c, net.c). It
 * carries no frames.
 */
export class FakeVhost implements VhostFile {
  offered = OFFERED;
  owned = false;
  features = 0n;
  /** The most regions of memory (max_mem_regions). */
  maxRegions = 64;
  regions: { guest: number; size: number; host: bigint }[] = [];
  log: bigint | null = null;
  vrings = [newVring(), newVring()];
  /** Calls that fail, with their error. */
  readonly failing = new Map<VhostIoctl, keyof typeof constants.errno>();
  readonly calls: VhostIoctl[] = [];

  call(name: VhostIoctl, argument: number | bigint | Uint8Array = 0): void {
    this.calls.push(name);
    const failure = this.failing.get(name);
    if (failure !== undefined) throw refused(name, failure);
    const bytes = argument instanceof Uint8Array ? argument : new Uint8Array();
    if (name === 'VHOST_GET_FEATURES') {
      new DataView(bytes.buffer).setBigUint64(0, this.offered, true);
      return;
    }
    if (name === 'VHOST_SET_OWNER') {
      if (this.owned) throw refused(name, 'EBUSY');
      this.owned = true;
      return;
    }
    if (name !== 'VHOST_SET_FEATURES' && !this.owned) throw refused(name, 'EPERM');
    this.#set(name, bytes);
  }

  /** Whether the kernel serves a vring. */
  serves(vring: number): boolean {
    return this.vrings[vring]!.backend >= 0;
  }

  #set(name: VhostIoctl, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    switch (name) {
      case 'VHOST_SET_FEATURES':
        this.#setFeatures(view.getBigUint64(0, true));
        return;
      case 'VHOST_RESET_OWNER':
        Object.assign(this, { owned: false, features: 0n, regions: [], log: null });
        this.vrings = [newVring(), newVring()];
        return;
      case 'VHOST_SET_MEM_TABLE':
        this.#setMemory(bytes);
        return;
      case 'VHOST_SET_LOG_BASE':
        this.log = view.getBigUint64(0, true);
        return;
      case 'VHOST_SET_VRING_ADDR': {
        const addresses = vhostVringAddr.read(bytes);
        this.vrings[addresses.index]!.addresses = addresses;
        if (this.serves(addresses.index)) this.#checkAccess(name, addresses.index);
        return;
      }
      case 'VHOST_SET_VRING_NUM':
      case 'VHOST_SET_VRING_BASE':
      case 'VHOST_GET_VRING_BASE':
        this.#position(name, bytes);
        return;
      default:
        this.#file(name, bytes);
    }
  }

  #setFeatures(features: bigint): void {
    if ((features & ~this.offered) !== 0n) throw refused('VHOST_SET_FEATURES', 'EOPNOTSUPP');
    if ((features >> BigInt(VHOST_F_LOG_ALL)) & 1n && this.log === null)
      throw refused('VHOST_SET_FEATURES', 'EFAULT');
    this.features = features;
  }

  #setMemory(bytes: Uint8Array): void {
    const { nregions } = vhostMemory.read(bytes);
    if (nregions > this.maxRegions) throw refused('VHOST_SET_MEM_TABLE', 'E2BIG');
    const before = this.regions;
    this.regions = Array.from({ length: nregions }, (_, index) => {
      const at = vhostMemory.size + index * vhostMemoryRegion.size;
      const { guest_phys_addr, memory_size, userspace_addr } = vhostMemoryRegion.read(bytes, at);
      return { guest: Number(guest_phys_addr), size: Number(memory_size), host: userspace_addr };
    });
    try {
      for (const index of this.vrings.keys())
        if (this.serves(index)) this.#checkAccess('VHOST_SET_MEM_TABLE', index);
    } catch (error) {
      this.regions = before;
      throw error;
    }
  }

  #position(name: VhostIoctl, bytes: Uint8Array): void {
    const { index, num } = vhostVringState.read(bytes);
    const vring = this.vrings[index]!;
    if (name === 'VHOST_GET_VRING_BASE') {
      vhostVringState.write(bytes, { index, num: vring.base });
      return;
    }
    if (this.serves(index)) throw refused(name, 'EBUSY');
    if (name === 'VHOST_SET_VRING_NUM') vring.num = num;
    else vring.base = num;
  }

  #file(name: VhostIoctl, bytes: Uint8Array): void {
    const { index, fd } = vhostVringFile.read(bytes);
    const vring = this.vrings[index]!;
    if (name === 'VHOST_SET_VRING_KICK') vring.kick = fd;
    else if (name === 'VHOST_SET_VRING_CALL') vring.call = fd;
    else if (name === 'VHOST_SET_VRING_ERR') vring.error = fd;
    else {
      if (fd >= 0) this.#checkAccess(name, index);
      vring.backend = fd;
    }
  }

  /** The ring must be in memory that was passed to the kernel. */
  #checkAccess(name: VhostIoctl, index: number): void {
    const { addresses } = this.vrings[index]!;
    const isThere = (address: bigint) =>
      this.regions.some(({ host, size }) => address >= host && address < host + BigInt(size));
    const all =
      addresses === null
        ? []
        : [addresses.desc_user_addr, addresses.avail_user_addr, addresses.used_user_addr];
    if (all.length === 0 || !all.every(isThere)) throw refused(name, 'EFAULT');
  }
}

function refused(name: VhostIoctl, errno: keyof typeof constants.errno): SystemError {
  return new SystemError(`ioctl ${name}`, constants.errno[errno]);
}
