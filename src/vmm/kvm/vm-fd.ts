import { constants } from 'node:os';
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MAP_SHARED,
  mmap,
  PROT_READ,
  PROT_WRITE,
  SystemError,
  tryIoctl,
  viewOf,
} from '../native/libc.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import { encodeList, getStruct, kvmIoctl, setStruct } from './call.ts';
import {
  CAP,
  type CapName,
  IOEVENTFD_FLAG,
  IRQ_ROUTING,
  IRQFD_FLAG,
  MEM,
  PIT_FLAGS_HPET_LEGACY,
  PIT_SPEAKER_DUMMY,
} from './constants.ts';
import { IOCTLS } from './ioctls.ts';
import { RunPage } from './run-page.ts';
import * as structs from './structs.ts';
import { VcpuFd } from './vcpu-fd.ts';

/** One memory slot: guest-physical [address, address + size) is process memory at `host`. Multiples of a page. */
export type MemorySlot = {
  readonly slot: number;
  readonly address: number;
  readonly size: number;
  readonly host: bigint;
  readonly readonly?: boolean;
  readonly logDirty?: boolean;
};

/** The destination of an interrupt number (GSI) of the VM. */
export type GsiRoute =
  | { readonly gsi: number; readonly irqchip: number; readonly pin: number }
  | { readonly gsi: number; readonly address: bigint; readonly data: number };

/** A guest write that signals an eventfd in the kernel. */
export type IoEvent = {
  readonly fd: number;
  readonly space: 'port' | 'memory';
  readonly address: number;
  /** Bytes of the write; 0 for any size. */
  readonly length: 0 | 1 | 2 | 4 | 8;
  /** Only writes of this value. */
  readonly match?: bigint;
};

type DirtyLogBuffer = { readonly address: bigint; readonly length: number; readonly words: Uint32Array };

/** One VM. Every method is one ioctl. */
export class VmFd {
  readonly fd: number;
  readonly #runSize: number;
  readonly #owner: ResourceOwner;
  #log: DirtyLogBuffer | null = null;

  constructor(fd: number, runSize: number, owner: ResourceOwner) {
    this.fd = fd;
    this.#runSize = runSize;
    this.#owner = owner;
  }

  /** KVM_CHECK_EXTENSION on the VM, for capabilities that depend on it. */
  capability(name: CapName): number {
    return kvmIoctl(this.fd, 'KVM_CHECK_EXTENSION', CAP[name]);
  }

  /** `id` is the ID of its local APIC. Create the irqchip first. */
  createVcpu(id: number): VcpuFd {
    const fd = this.#owner.ownFd(kvmIoctl(this.fd, 'KVM_CREATE_VCPU', id));
    const address = mmap(this.#runSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    this.#owner.ownMap(address, this.#runSize);
    const run = new RunPage(address, viewOf(address, this.#runSize));
    const xsaveSize = Math.max(this.capability('XSAVE2'), structs.kvmXsave.size);
    return new VcpuFd(id, fd, run, {
      xsaveSize,
      xcrs: this.capability('XCRS') !== 0,
      pdptrs: this.capability('SREGS2') !== 0,
      tscScaling: this.capability('TSC_CONTROL') !== 0,
      nestedSize: this.capability('NESTED_STATE'),
    });
  }

  /** Adds a slot, or changes its flags. A size of 0 removes it. */
  setMemory(slot: MemorySlot): void {
    setStruct(this.fd, 'KVM_SET_USER_MEMORY_REGION', structs.kvmUserspaceMemoryRegion, {
      slot: slot.slot,
      flags: (slot.readonly ? MEM.READONLY : 0) | (slot.logDirty ? MEM.LOG_DIRTY_PAGES : 0),
      guest_phys_addr: BigInt(slot.address),
      memory_size: BigInt(slot.size),
      userspace_addr: slot.host,
    });
  }

  /**
   * The pages of a slot that the guest has written since the last call, or since its log was turned on: bit i % 32 of
   * word i / 32 is page i.
   * @returns words that stay valid until the next call
   */
  getDirtyLog(slot: number, pages: number): Uint32Array {
    // KVM fills whole 64-bit words.
    const length = Math.ceil(pages / 64) * 8;
    if (this.#log === null || this.#log.length < length) this.#log = this.#mapLog(length);
    const { address, words } = this.#log;
    setStruct(this.fd, 'KVM_GET_DIRTY_LOG', structs.kvmDirtyLog, {
      slot,
      padding1: 0,
      dirty_bitmap: address,
    });
    return words.subarray(0, length / 4);
  }

  /** Memory into which KVM writes a log of `length` bytes. */
  #mapLog(length: number): DirtyLogBuffer {
    const address = mmap(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    this.#owner.ownMap(address, length);
    return { address, length, words: new Uint32Array(viewOf(address, length)) };
  }

  /** The three pages that Intel hosts without unrestricted guest need; not in RAM. Call it before the first vCPU. */
  setTssAddress(address: number): void {
    kvmIoctl(this.fd, 'KVM_SET_TSS_ADDR', address);
  }

  /** The page table of real mode on the same hosts; not in RAM. Call it before the first vCPU. */
  setIdentityMapAddress(address: number): void {
    kvmIoctl(
      this.fd,
      'KVM_SET_IDENTITY_MAP_ADDR',
      new Uint8Array(new BigUint64Array([BigInt(address)]).buffer),
    );
  }

  /** Two 8259s, an IOAPIC of 24 pins, and a local APIC for each vCPU, with the default routes of GSI 0-23. */
  createIrqchip(): void {
    kvmIoctl(this.fd, 'KVM_CREATE_IRQCHIP');
  }

  /** The 8254 on IRQ 0, and port 0x61. */
  createPit(): void {
    setStruct(this.fd, 'KVM_CREATE_PIT2', structs.kvmPitConfig, { flags: PIT_SPEAKER_DUMMY });
  }

  /** Replaces the whole routing table. */
  setGsiRouting(routes: readonly GsiRoute[]): void {
    const { kvmIrqRouting, kvmIrqRoutingEntry } = structs;
    const header = { nr: routes.length, flags: 0 };
    const bytes = encodeList(kvmIrqRouting, header, kvmIrqRoutingEntry, routes.map(routingEntry));
    kvmIoctl(this.fd, 'KVM_SET_GSI_ROUTING', bytes);
  }

  /**
   * From now on every signal of eventfd `fd` raises `gsi`, in the kernel. With `resampleFd` the pin stays asserted
   * until the guest ends the interrupt, which signals `resampleFd`.
   */
  assignIrqfd(fd: number, gsi: number, resampleFd?: number): void {
    const flags = resampleFd === undefined ? 0 : IRQFD_FLAG.RESAMPLE;
    setStruct(this.fd, 'KVM_IRQFD', structs.kvmIrqfd, { fd, gsi, flags, resamplefd: resampleFd ?? 0 });
  }

  deassignIrqfd(fd: number, gsi: number): void {
    const flags = IRQFD_FLAG.DEASSIGN;
    setStruct(this.fd, 'KVM_IRQFD', structs.kvmIrqfd, { fd, gsi, flags, resamplefd: 0 });
  }

  assignIoEvent(event: IoEvent): void {
    setStruct(this.fd, 'KVM_IOEVENTFD', structs.kvmIoeventfd, ioEventArgument(event));
  }

  /** `event` must be the same as when it was assigned. */
  deassignIoEvent(event: IoEvent): void {
    const argument = ioEventArgument(event);
    argument.flags |= IOEVENTFD_FLAG.DEASSIGN;
    setStruct(this.fd, 'KVM_IOEVENTFD', structs.kvmIoeventfd, argument);
  }

  /**
   * KVM_CREATE_DEVICE.
   * @param type one of KVM_DEV_TYPE. @returns its fd, which belongs to the VM's owner. @throws SystemError
   */
  createDevice(type: number): number {
    const bytes = structs.kvmCreateDevice.encode({ type, fd: 0, flags: 0 });
    kvmIoctl(this.fd, 'KVM_CREATE_DEVICE', bytes);
    return this.#owner.ownFd(structs.kvmCreateDevice.read(bytes).fd);
  }

  setIrqLine(gsi: number, level: boolean): void {
    setStruct(this.fd, 'KVM_IRQ_LINE', structs.kvmIrqLevel, { irq: gsi, level: level ? 1 : 0 });
  }

  /**
   * Sends a message whose content the guest chose.
   * @returns whether an APIC took it: none does if there is no such APIC, or if the guest masks it.
   */
  signalMsi(message: { readonly address: bigint; readonly data: number }): boolean {
    const address = splitAddress(message.address);
    const argument = structs.kvmMsi.encode({ ...address, data: message.data, flags: 0, devid: 0 });
    const result = tryIoctl(this.fd, IOCTLS.KVM_SIGNAL_MSI, argument);
    // KVM returns -1, i.e. EPERM, if no APIC has the address.
    if (result < 0 && result !== -constants.errno.EPERM)
      throw new SystemError('ioctl KVM_SIGNAL_MSI', -result);
    return result > 0;
  }

  /** The guest's kvmclock, in nanoseconds since the VM was created. */
  getClock(): bigint {
    return getStruct(this.fd, 'KVM_GET_CLOCK', structs.kvmClockData).clock;
  }

  setClock(clock: bigint): void {
    setStruct(this.fd, 'KVM_SET_CLOCK', structs.kvmClockData, {
      clock,
      flags: 0,
      realtime: 0n,
      host_tsc: 0n,
    });
  }

  /** State of one of IRQCHIP, in KVM's layout. */
  getIrqchip(chipId: number): Uint8Array {
    const bytes = structs.kvmIrqchip.encode({ chip_id: chipId, chip: new Uint8Array(512) });
    kvmIoctl(this.fd, 'KVM_GET_IRQCHIP', bytes);
    return structs.kvmIrqchip.read(bytes).chip;
  }

  setIrqchip(chipId: number, chip: Uint8Array): void {
    setStruct(this.fd, 'KVM_SET_IRQCHIP', structs.kvmIrqchip, { chip_id: chipId, chip });
  }

  getPit(): structs.PitState {
    return getStruct(this.fd, 'KVM_GET_PIT2', structs.kvmPitState2);
  }

  /** Sets whether another timer replaces the PIT's interrupt, so that the PIT raises none. */
  replacePit(isReplaced: boolean): void {
    const state = this.getPit();
    const flags = isReplaced ? state.flags | PIT_FLAGS_HPET_LEGACY : state.flags & ~PIT_FLAGS_HPET_LEGACY;
    if (flags !== state.flags) this.setPit({ ...state, flags });
  }

  setPit(state: structs.PitState): void {
    setStruct(this.fd, 'KVM_SET_PIT2', structs.kvmPitState2, state);
  }
}

function routingEntry(route: GsiRoute) {
  const u = new Uint8Array(32);
  if ('irqchip' in route) {
    structs.kvmIrqRoutingIrqchip.write(u, { irqchip: route.irqchip, pin: route.pin });
    return { gsi: route.gsi, type: IRQ_ROUTING.IRQCHIP, flags: 0, u };
  }
  structs.kvmIrqRoutingMsi.write(u, { ...splitAddress(route.address), data: route.data });
  return { gsi: route.gsi, type: IRQ_ROUTING.MSI, flags: 0, u };
}

function ioEventArgument(event: IoEvent) {
  const port = event.space === 'port' ? IOEVENTFD_FLAG.PIO : 0;
  const match = event.match === undefined ? 0 : IOEVENTFD_FLAG.DATAMATCH;
  return {
    datamatch: event.match ?? 0n,
    addr: BigInt(event.address),
    len: event.length,
    fd: event.fd,
    flags: port | match,
  };
}

function splitAddress(address: bigint): { address_lo: number; address_hi: number } {
  return {
    address_lo: Number(BigInt.asUintN(32, address)),
    address_hi: Number(BigInt.asUintN(32, address >> 32n)),
  };
}
