import { constants } from 'node:os';
import type { BootEntry } from '../../src/vmm/boot/boot-entry.ts';
import { longMode, protectedMode } from '../../src/vmm/boot/cpu-mode.ts';
import { coresOnly } from '../../src/vmm/cpu/cpu-topology.ts';
import { guestCpuid } from '../../src/vmm/cpu/cpuid.ts';
import { setUpVcpu } from '../../src/vmm/cpu/vcpu-setup.ts';
import { EXIT } from '../../src/vmm/kvm/constants.ts';
import { IOCTLS } from '../../src/vmm/kvm/ioctls.ts';
import { Kvm } from '../../src/vmm/kvm/kvm.ts';
import type { VcpuFd } from '../../src/vmm/kvm/vcpu-fd.ts';
import type { VmFd } from '../../src/vmm/kvm/vm-fd.ts';
import type { AddressSpace } from '../../src/vmm/memory/address-space.ts';
import { GuestRam } from '../../src/vmm/memory/guest-ram.ts';
import { KvmSlots } from '../../src/vmm/memory/kvm-slots.ts';
import { KVM_IDENTITY_MAP, KVM_TSS } from '../../src/vmm/memory/layout.ts';
import { type MachineMemory, machineMemory } from '../../src/vmm/memory/machine-memory.ts';
import type { QueueMemory } from '../../src/vmm/memory/queue-memory.ts';
import { SHADOW_RAM } from '../../src/vmm/memory/shadow.ts';
import { SystemError, tryIoctl } from '../../src/vmm/native/libc.ts';
import type { ResourceOwner } from '../../src/vmm/native/resource-owner.ts';
import { UNCOUNTED } from './counters.ts';

export const CODE = 0x10_0000;

/** A VM with 4 MiB of RAM and no devices, whose vCPUs the test runs itself, on its own thread. */
export class SmallVm {
  readonly kvm: Kvm;
  readonly vm: VmFd;
  readonly ram: GuestRam;
  readonly memory: MachineMemory;
  readonly vcpus: VcpuFd[] = [];

  /** @param queues for queue threads that access its memory */
  constructor(owner: ResourceOwner, queues?: QueueMemory) {
    this.kvm = Kvm.open(owner);
    this.vm = this.kvm.createVm();
    this.vm.setIdentityMapAddress(KVM_IDENTITY_MAP);
    this.vm.setTssAddress(KVM_TSS);
    this.vm.createIrqchip();
    this.vm.createPit();
    this.ram = new GuestRam(owner, { bytes: 4 * 2 ** 20 });
    const slots = new KvmSlots(this.vm, this.kvm.capability('NR_MEMSLOTS'));
    this.memory = machineMemory({
      ...{ ram: this.ram, slots, shadow: SHADOW_RAM, bus: { counters: () => UNCOUNTED } },
      ...(queues && { queues }),
    });
  }

  /** Adds vCPUs; the first starts with `code` at 1 MiB. */
  boot(mode: BootEntry['mode'], code: readonly number[], count = 1): VcpuFd {
    this.ram.writable(CODE, code.length).set(code);
    const state = mode === 'long64' ? longMode(this.ram) : protectedMode(this.ram);
    const entry: BootEntry = {
      protocol: 'pvh',
      ...state,
      rip: CODE,
      registers: { rbx: 0x6000, rsp: 0x8000 },
    };
    const supported = this.kvm.supportedCpuid();
    const options = { remove: [], hideHypervisor: false, tscDeadlineTimer: true };
    for (let apicId = 0; apicId < count; apicId++) {
      const vcpu = this.vm.createVcpu(apicId);
      const cpuid = guestCpuid(supported, options, { topology: coresOnly(count), apicId });
      setUpVcpu(vcpu, cpuid, apicId === 0 ? entry : null);
      this.vcpus.push(vcpu);
    }
    return this.vcpus[0]!;
  }
}

/** KVM_RUN once. @returns 0 or the negative errno. */
export function runOnce(vcpu: VcpuFd): number {
  return tryIoctl(vcpu.fd, IOCTLS.KVM_RUN, 0);
}

/** KVM_RUN until an exit. @returns the exit as a line: `write 1 to port 0x80: 0x41`. */
export function run(vcpu: VcpuFd): string {
  let result: number;
  // KVM_RUN of a vCPU that another one has just started returns EAGAIN once.
  do result = runOnce(vcpu);
  while (result === -constants.errno.EAGAIN);
  if (result < 0) throw new SystemError('ioctl KVM_RUN', -result);
  const page = vcpu.run;
  if (page.exitReason === EXIT.IO) {
    const port = `port 0x${page.ioPort.toString(16)}`;
    if (!page.ioIsWrite) return `read ${page.ioSize} from ${port}`;
    return `write ${page.ioSize} to ${port}: ${value(page.data, page.ioDataOffset, page.ioSize)}`;
  }
  if (page.exitReason === EXIT.MMIO) {
    const memory = `memory 0x${page.mmioAddress.toString(16)}`;
    if (!page.mmioIsWrite) return `read ${page.mmioLength} from ${memory}`;
    return `write ${page.mmioLength} to ${memory}: ${value(page.data, page.mmioDataOffset, page.mmioLength)}`;
  }
  return `exit ${page.exitReason}`;
}

/**
 * Runs until the guest writes to a port; `space` answers its other accesses. @returns the value written, and the exits
 * that were answered
 */
export function runAnswered(vcpu: VcpuFd, space: AddressSpace): { wrote: number; answered: string[] } {
  const answered: string[] = [];
  for (;;) {
    const exit = run(vcpu);
    const page = vcpu.run;
    if (page.exitReason === EXIT.IO && page.ioIsWrite) {
      const wrote =
        page.ioSize === 4
          ? page.data.getUint32(page.ioDataOffset, true)
          : page.data.getUint8(page.ioDataOffset);
      return { wrote, answered };
    }
    if (page.exitReason !== EXIT.MMIO) throw new Error(`unexpected: ${exit}`);
    answered.push(exit);
    const { mmioAddress: address, mmioLength: length, data, mmioDataOffset: at } = page;
    if (page.mmioIsWrite) space.writeFrom(address, length, data, at);
    else space.readTo(address, length, data, at);
  }
}

function value(data: DataView, at: number, size: number): string {
  const bytes = new Uint8Array(data.buffer, at, size);
  return `0x${Buffer.from(bytes.toReversed()).toString('hex')}`;
}
