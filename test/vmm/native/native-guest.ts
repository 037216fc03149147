import { readdirSync, readFileSync } from 'node:fs';
import { CounterLayout } from '../../../src/vmm/counters/counters.ts';
import { Kvm } from '../../../src/vmm/kvm/kvm.ts';
import type { VcpuFd } from '../../../src/vmm/kvm/vcpu-fd.ts';
import { GuestRam } from '../../../src/vmm/memory/guest-ram.ts';
import { NativeVm } from '../../../src/vmm/native/native-vm.ts';
import { setMemory } from '../../../src/vmm/native/queue-regions.ts';
import { allocateCounters } from '../../support/counters.ts';

const CODE = 0x1000;
const SHAPE = { vcpus: 2, queues: 1, regions: 0 };

export function tinyGuestCounters(): BigUint64Array<SharedArrayBuffer> {
  return allocateCounters(SHAPE);
}

/** A VM whose vCPUs run a few bytes of machine code in real mode, with its RAM zero elsewhere. */
export class TinyGuest {
  readonly counters: BigUint64Array;
  readonly layout = new CounterLayout(SHAPE);
  readonly native: NativeVm;
  readonly ram: GuestRam;
  readonly vcpus: readonly VcpuFd[];

  /** @param carried its vCPU, the only one, is run by the thread that waits for events */
  constructor(code: readonly number[], vcpus = 1, counters = tinyGuestCounters(), carried = false) {
    this.counters = counters;
    this.native = new NativeVm(counters, SHAPE);
    const vm = Kvm.open(this.native).createVm();
    this.ram = new GuestRam(this.native, { bytes: 2 ** 21 });
    const region = this.ram.regions[0]!;
    this.ram.writable(CODE, code.length).set(code);
    vm.setMemory({ slot: 0, ...region });
    setMemory(this.native.handle, this.ram.regions);
    this.vcpus = Array.from({ length: vcpus }, (_, index) => vm.createVcpu(index));
    for (const [index, vcpu] of this.vcpus.entries()) {
      const sregs = vcpu.getSregs();
      vcpu.setSregs({ ...sregs, cs: { ...sregs.cs, base: 0n, selector: 0 } });
      vcpu.setRegs({ ...vcpu.getRegs(), rip: BigInt(CODE), rflags: 2n });
      if (carried) this.native.carryVcpu(index, vcpu.fd, vcpu.run);
      else this.native.startVcpu(index, vcpu.fd, vcpu.run);
    }
  }

  /** Waits for one event, at most two seconds. @returns its kind and index. */
  next(): { kind: number; index: number; data: number; aux: number } {
    if (this.native.wait(2_000_000_000n) === 0) throw new Error('no event within two seconds');
    const { native } = this;
    return {
      kind: native.eventKind(0),
      index: native.eventIndex(0),
      data: native.eventData(0),
      aux: native.eventAux(0),
    };
  }

  vcpuCounter(word: number, index = 0): number {
    return Number(this.counters[this.layout.vcpu(index) + word]);
  }
}

/** The names of this process's threads. */
export function threadNames(): string[] {
  return readdirSync('/proc/self/task').map(tid =>
    readFileSync(`/proc/self/task/${tid}/comm`, 'utf8').trimEnd(),
  );
}
