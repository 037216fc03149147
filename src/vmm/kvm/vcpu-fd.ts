import { argumentMemory } from '../native/argument-memory.ts';
import { SystemError, tryIoctl } from '../native/libc.ts';
import { encodeList, getCpuid, getStruct, kvmIoctl, setStruct } from './call.ts';
import { SREGS2_FLAGS_PDPTRS_VALID, VCPU_TSC_CTRL, VCPU_TSC_OFFSET } from './constants.ts';
import { IOCTLS } from './ioctls.ts';
import type { RunPage } from './run-page.ts';
import * as structs from './structs.ts';

/** Properties of the host. */
export type VcpuFeatures = {
  /** Bytes of the XSAVE area. */
  readonly xsaveSize: number;
  /** Whether there are extended control registers. */
  readonly xcrs: boolean;
  /** Whether KVM_GET_SREGS2 returns the PDPTRs. */
  readonly pdptrs: boolean;
  /** Whether a vCPU's TSC may have another frequency than the host's. */
  readonly tscScaling: boolean;
  /** Most bytes of nested state; 0 without nested virtualization. */
  readonly nestedSize: number;
};

/**
 * One vCPU. Every method is one ioctl, which blocks while another thread is inside KVM_RUN: only call them while the
 * vCPU is parked or waits for the answer to an exit.
 */
export class VcpuFd {
  /** The vCPU's index and its local APIC's ID. */
  readonly id: number;
  readonly fd: number;
  readonly run: RunPage;
  readonly #features: VcpuFeatures;

  constructor(id: number, fd: number, run: RunPage, features: VcpuFeatures) {
    this.id = id;
    this.fd = fd;
    this.run = run;
    this.#features = features;
  }

  getRegs(): structs.Regs {
    return getStruct(this.fd, 'KVM_GET_REGS', structs.kvmRegs);
  }

  setRegs(regs: structs.Regs): void {
    setStruct(this.fd, 'KVM_SET_REGS', structs.kvmRegs, regs);
  }

  getSregs(): structs.Sregs {
    return getStruct(this.fd, 'KVM_GET_SREGS', structs.kvmSregs);
  }

  setSregs(sregs: structs.Sregs): void {
    setStruct(this.fd, 'KVM_SET_SREGS', structs.kvmSregs, sregs);
  }

  /**
   * The page directory pointers loaded by PAE paging; null without PAE paging, or if the kernel doesn't expose them.
   */
  getPdptrs(): bigint[] | null {
    if (!this.#features.pdptrs) return null;
    const { flags, pdptrs } = getStruct(this.fd, 'KVM_GET_SREGS2', structs.kvmSregs2);
    return (flags & SREGS2_FLAGS_PDPTRS_VALID) === 0n ? null : pdptrs;
  }

  /** Call it after setting the other special registers. */
  setPdptrs(pdptrs: bigint[]): void {
    if (!this.#features.pdptrs) return;
    const sregs = getStruct(this.fd, 'KVM_GET_SREGS2', structs.kvmSregs2);
    const flags = SREGS2_FLAGS_PDPTRS_VALID;
    setStruct(this.fd, 'KVM_SET_SREGS2', structs.kvmSregs2, { ...sregs, flags, pdptrs });
  }

  /** The state of the guest's own guests, opaque; null without nested virtualization. */
  getNestedState(): Uint8Array | null {
    const { nestedSize } = this.#features;
    if (nestedSize === 0) return null;
    const bytes = new Uint8Array(Math.max(nestedSize, structs.kvmNestedState.size));
    structs.kvmNestedState.write(bytes, { flags: 0, format: 0, size: bytes.length });
    kvmIoctl(this.fd, 'KVM_GET_NESTED_STATE', bytes);
    return bytes.slice(0, structs.kvmNestedState.read(bytes).size);
  }

  /** `state` is as `getNestedState` returned it. */
  setNestedState(state: Uint8Array): void {
    // KVM reads as many bytes as the header specifies.
    if (state.length < structs.kvmNestedState.size || structs.kvmNestedState.read(state).size > state.length)
      throw new RangeError(`a nested state of ${state.length} bytes, fewer than its header says`);
    kvmIoctl(this.fd, 'KVM_SET_NESTED_STATE', state);
  }

  /** The frequency of its TSC in kHz. */
  getTscKhz(): number {
    return kvmIoctl(this.fd, 'KVM_GET_TSC_KHZ');
  }

  /** Sets it if the host scales TSCs: otherwise KVM would only approximate it. @returns whether it does */
  setTscKhz(khz: number): boolean {
    if (!this.#features.tscScaling) return false;
    return tryIoctl(this.fd, IOCTLS.KVM_SET_TSC_KHZ, khz) >= 0;
  }

  /** The difference to the host's TSC, modulo 2^64; null before Linux 5.16, which doesn't expose it. */
  getTscOffset(): bigint | null {
    if (tryIoctl(this.fd, IOCTLS.KVM_HAS_DEVICE_ATTR, tscOffsetAttribute()) < 0) return null;
    kvmIoctl(this.fd, 'KVM_GET_DEVICE_ATTR', tscOffsetAttribute());
    return argumentMemory().view.getBigUint64(0, true);
  }

  setTscOffset(offset: bigint): void {
    argumentMemory().view.setBigUint64(0, BigInt.asUintN(64, offset), true);
    kvmIoctl(this.fd, 'KVM_SET_DEVICE_ATTR', tscOffsetAttribute());
  }

  /** The XSAVE area, in the layout of the host's CPUID leaf 0xd. */
  getXsave(): Uint8Array {
    const bytes = new Uint8Array(this.#features.xsaveSize);
    kvmIoctl(
      this.fd,
      this.#features.xsaveSize > structs.kvmXsave.size ? 'KVM_GET_XSAVE2' : 'KVM_GET_XSAVE',
      bytes,
    );
    return bytes;
  }

  setXsave(xsave: Uint8Array): void {
    if (xsave.length < this.#features.xsaveSize) {
      throw new RangeError(
        `the XSAVE area has ${xsave.length} bytes, but this host's KVM expects ${this.#features.xsaveSize}`,
      );
    }
    kvmIoctl(this.fd, 'KVM_SET_XSAVE', xsave);
  }

  /** Null on a host CPU without XSAVE (KVM_CAP_XCRS). */
  getXcrs(): structs.Xcrs | null {
    if (!this.#features.xcrs) return null;
    return getStruct(this.fd, 'KVM_GET_XCRS', structs.kvmXcrs);
  }

  setXcrs(xcrs: structs.Xcrs): void {
    setStruct(this.fd, 'KVM_SET_XCRS', structs.kvmXcrs, xcrs);
  }

  /** The MSRs of `indices` that KVM can read, in order. */
  getMsrs(indices: readonly number[]): structs.MsrEntry[] {
    const entries: structs.MsrEntry[] = [];
    for (let start = 0; start < indices.length; start++) {
      // KVM stops at the first MSR that it refuses, which is then left out.
      const list = new MsrList(indices.length - start);
      for (let i = 0; i < list.length; i++) list.set(i, indices[start + i]!, 0n);
      const read = kvmIoctl(this.fd, 'KVM_GET_MSRS', list.bytes);
      for (let i = 0; i < read; i++) entries.push(list.at(i));
      start += read;
    }
    return entries;
  }

  /** @returns the entries that KVM refused. */
  setMsrs(entries: readonly structs.MsrEntry[]): structs.MsrEntry[] {
    const refused: structs.MsrEntry[] = [];
    for (let start = 0; start < entries.length; start++) {
      const list = new MsrList(entries.length - start);
      for (let i = 0; i < list.length; i++) {
        const { index, data } = entries[start + i]!;
        list.set(i, index, data);
      }
      start += kvmIoctl(this.fd, 'KVM_SET_MSRS', list.bytes);
      const stoppedAt = entries[start];
      if (stoppedAt !== undefined) refused.push(stoppedAt);
    }
    return refused;
  }

  /** The APIC's registers: 1024 bytes as memory-mapped (see kvmLapicState). */
  getLapic(): Uint8Array {
    return getStruct(this.fd, 'KVM_GET_LAPIC', structs.kvmLapicState).regs;
  }

  setLapic(regs: Uint8Array): void {
    setStruct(this.fd, 'KVM_SET_LAPIC', structs.kvmLapicState, { regs });
  }

  /** An MP_STATE value. */
  getMpState(): number {
    return getStruct(this.fd, 'KVM_GET_MP_STATE', structs.kvmMpState).mp_state;
  }

  setMpState(state: number): void {
    setStruct(this.fd, 'KVM_SET_MP_STATE', structs.kvmMpState, { mp_state: state });
  }

  getCpuid(): structs.CpuidEntry[] {
    return getCpuid(this.fd, 'KVM_GET_CPUID2');
  }

  /** Before the vCPU's first KVM_RUN. */
  setCpuid(entries: readonly structs.CpuidEntry[]): void {
    const header = { nent: entries.length };
    kvmIoctl(
      this.fd,
      'KVM_SET_CPUID2',
      encodeList(structs.kvmCpuid2, header, structs.kvmCpuidEntry2, entries),
    );
  }

  getEvents(): structs.VcpuEvents {
    return getStruct(this.fd, 'KVM_GET_VCPU_EVENTS', structs.kvmVcpuEvents);
  }

  setEvents(events: structs.VcpuEvents): void {
    setStruct(this.fd, 'KVM_SET_VCPU_EVENTS', structs.kvmVcpuEvents, events);
  }

  getDebugRegs(): structs.DebugRegs {
    return getStruct(this.fd, 'KVM_GET_DEBUGREGS', structs.kvmDebugregs);
  }

  setDebugRegs(regs: structs.DebugRegs): void {
    setStruct(this.fd, 'KVM_SET_DEBUGREGS', structs.kvmDebugregs, regs);
  }

  /** Notes the pause for a guest that uses kvmclock, so that its watchdogs stay quiet. */
  notePause(): void {
    try {
      kvmIoctl(this.fd, 'KVM_KVMCLOCK_CTRL');
    } catch (error) {
      // EINVAL: the guest has no kvmclock.
      if (!(error instanceof SystemError && error.code === 'EINVAL')) throw error;
    }
  }
}

const { kvmMsrs, kvmMsrEntry } = structs;

/** A kvm_msrs and its entries. There are some two hundred in a vCPU's state, too many to go through `Struct`. */
class MsrList {
  readonly length: number;
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(length: number) {
    this.length = length;
    this.bytes = new Uint8Array(kvmMsrs.size + length * kvmMsrEntry.size);
    this.#view = new DataView(this.bytes.buffer);
    this.#view.setUint32(kvmMsrs.offset('nmsrs'), length, true);
  }

  set(i: number, index: number, data: bigint): void {
    const at = kvmMsrs.size + i * kvmMsrEntry.size;
    this.#view.setUint32(at + MSR_INDEX, index, true);
    this.#view.setBigUint64(at + MSR_DATA, data, true);
  }

  at(i: number): structs.MsrEntry {
    const at = kvmMsrs.size + i * kvmMsrEntry.size;
    return {
      index: this.#view.getUint32(at + MSR_INDEX, true),
      data: this.#view.getBigUint64(at + MSR_DATA, true),
    };
  }
}

const MSR_INDEX = kvmMsrEntry.offset('index');
const MSR_DATA = kvmMsrEntry.offset('data');

function tscOffsetAttribute(): Uint8Array {
  return structs.kvmDeviceAttr.encode({
    flags: 0,
    group: VCPU_TSC_CTRL,
    attr: BigInt(VCPU_TSC_OFFSET),
    addr: argumentMemory().address,
  });
}
