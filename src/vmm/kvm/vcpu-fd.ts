import { SystemError } from '../native/libc.ts';
import { encodeList, getCpuid, getStruct, kvmIoctl, setStruct } from './call.ts';
import type { RunPage } from './run-page.ts';
import * as structs from './structs.ts';

/** Properties of the host. */
export type VcpuFeatures = {
  /** Bytes of the XSAVE area. */
  readonly xsaveSize: number;
  /** Whether there are extended control registers. */
  readonly xcrs: boolean;
};

/**
 * One vCPU. Every method is one ioctl, which waits while another thread is inside KVM_RUN: only call them while the vCPU is
 * parked or waits for the answer to an exit.
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

  /** The MSRs of `indices` that KVM can read, in their order. */
  getMsrs(indices: readonly number[]): structs.MsrEntry[] {
    const entries: structs.MsrEntry[] = [];
    for (let start = 0; start < indices.length; start++) {
      // KVM stops at the first MSR that it refuses, which is then left out.
      const wanted = indices.slice(start).map(index => ({ index, data: 0n }));
      const bytes = encodeList(structs.kvmMsrs, { nmsrs: wanted.length }, structs.kvmMsrEntry, wanted);
      const read = kvmIoctl(this.fd, 'KVM_GET_MSRS', bytes);
      for (let entry = 0; entry < read; entry++) {
        entries.push(
          structs.kvmMsrEntry.read(bytes, structs.kvmMsrs.size + entry * structs.kvmMsrEntry.size),
        );
      }
      start += read;
    }
    return entries;
  }

  /** @returns the entries that KVM refused. */
  setMsrs(entries: readonly structs.MsrEntry[]): structs.MsrEntry[] {
    const refused: structs.MsrEntry[] = [];
    for (let start = 0; start < entries.length; start++) {
      const rest = entries.slice(start);
      const bytes = encodeList(structs.kvmMsrs, { nmsrs: rest.length }, structs.kvmMsrEntry, rest);
      start += kvmIoctl(this.fd, 'KVM_SET_MSRS', bytes);
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

  /** Tells a guest that uses kvmclock that it was paused, so that its watchdogs stay quiet. */
  notePause(): void {
    try {
      kvmIoctl(this.fd, 'KVM_KVMCLOCK_CTRL');
    } catch (error) {
      // EINVAL: the guest has no kvmclock.
      if (!(error instanceof SystemError && error.code === 'EINVAL')) throw error;
    }
  }
}
