import type { Kvm } from '../kvm/kvm.ts';
import type { VcpuFd } from '../kvm/vcpu-fd.ts';
import type { VmFd } from '../kvm/vm-fd.ts';
import type { MachineConfig } from '../machine/config.ts';
import { SystemError } from '../native/libc.ts';
import type { NativeVm } from '../native/native-vm.ts';
import { apicIdsOf, type CpuTopology, coresOnly, maxCpus } from './cpu-topology.ts';
import { guestCpuid, hostCpuid } from './cpuid.ts';
import { missingFeatures } from './model-cpuid.ts';
import { powerOnVcpu, setUpVcpu, type VcpuStart } from './vcpu-setup.ts';

/** The topology of the vCPUs as the guest sees it, including those that may be added later. */
export function cpuTopology(config: MachineConfig): CpuTopology {
  return config.topology ?? coresOnly(maxCpus(config));
}

/** Creates a vCPU in its state at boot. @param entry where it starts; null for one that waits for INIT and SIPI */
type CreateVcpu = (index: number, entry: VcpuStart) => VcpuFd;

/**
 * The vCPUs of a machine, by index. KVM never destroys one: those that the guest has released are kept for when they
 * are added again.
 */
export class MachineVcpus {
  /** Most vCPUs that it can have. */
  readonly most: number;
  readonly #config: MachineConfig;
  readonly #kvm: Kvm;
  readonly #vm: VmFd;
  readonly #created = new Map<number, VcpuFd>();
  /** Ascending. */
  #present: readonly number[];
  #create: CreateVcpu | null = null;

  constructor(config: MachineConfig, kvm: Kvm, vm: VmFd) {
    this.most = maxCpus(config);
    this.#config = config;
    this.#kvm = kvm;
    this.#vm = vm;
    this.#present = Array.from({ length: config.cpus }, (_, index) => index);
  }

  /**
   * Creates those with which the machine starts. @param entry where the first one starts
   * @throws an error for the user if this host is unsuitable
   */
  create(entry: VcpuStart): void {
    const { maxVcpus } = this.#kvm;
    if (this.most > maxVcpus)
      throw new Error(
        `this host's KVM allows at most ${maxVcpus} vCPUs per VM, not ${this.most}: give the VM fewer`,
      );
    for (const index of this.#present) this.#created.set(index, this.#newVcpu(index, entry));
  }

  /** The present ones, in the order of their indices. */
  get present(): readonly VcpuFd[] {
    return this.#present.map(index => this.#created.get(index)!);
  }

  /** The indices of the present ones, ascending. */
  get indices(): readonly number[] {
    return this.#present;
  }

  isPresent(index: number): boolean {
    return this.#present.includes(index);
  }

  /** The one on which the guest boots. */
  get first(): VcpuFd {
    return this.#created.get(0)!;
  }

  /** A vCPU that has been created, whether it is present or not. */
  at(index: number): VcpuFd {
    const vcpu = this.#created.get(index);
    if (vcpu === undefined) throw new RangeError(`there is no vCPU ${index}`);
    return vcpu;
  }

  /** Creates an absent vCPU, unless it was present before: it stays in its last state then. */
  prepare(index: number): { readonly vcpu: VcpuFd; readonly isNew: boolean } {
    const known = this.#created.get(index);
    if (known !== undefined) return { vcpu: known, isNew: false };
    const vcpu = this.#newVcpu(index, null);
    this.#created.set(index, vcpu);
    return { vcpu, isNew: true };
  }

  /** An absent vCPU that is prepared is present from now on. */
  add(index: number): void {
    this.#present = [...this.#present, index].sort((a, b) => a - b);
  }

  /** A vCPU is absent from now on. */
  remove(index: number): void {
    this.#present = this.#present.filter(each => each !== index);
  }

  #newVcpu(index: number, entry: VcpuStart): VcpuFd {
    this.#create ??= vcpuCreation(this.#config, this.#kvm, this.#vm);
    return this.#create(index, entry);
  }
}

/** @throws an error for the user if this host is unsuitable */
function vcpuCreation(config: MachineConfig, kvm: Kvm, vm: VmFd): CreateVcpu {
  const supported = kvm.supportedCpuid();
  const tscDeadlineTimer = kvm.capability('TSC_DEADLINE_TIMER') !== 0;
  const choice = { model: config.cpuModel, ...config.cpuFeatures };
  const missing = missingFeatures(hostCpuid(supported, tscDeadlineTimer), choice);
  if (config.cpuEnforce && missing.length > 0) {
    throw new Error(
      `this host lacks ${missing.join(', ')} of the guest's CPU ${config.cpuModel ?? 'host'}: remove that, ` +
        'choose another CPU model, or do not enforce it',
    );
  }
  const options = { ...choice, hideHypervisor: config.hideHypervisor, tscDeadlineTimer };
  const topology = cpuTopology(config);
  const apicIds = apicIdsOf(topology);
  return (index, entry) => {
    const apicId = apicIds[index]!;
    const vcpu = vm.createVcpu(apicId);
    const cpuid = guestCpuid(supported, options, { topology, apicId });
    if (config.boot.kind === 'firmware') powerOnVcpu(vcpu, cpuid, index === 0 && entry !== null);
    else setUpVcpu(vcpu, cpuid, index === 0 && entry !== 'firmware' ? entry : null);
    return vcpu;
  };
}

/**
 * Starts the threads of the present vCPUs, parked. If a machine can have only one vCPU, the machine thread itself runs
 * it and answers its exits, unless it is pinned to a host CPU.
 * @param pin host CPUs, by vCPU
 */
export function startVcpus(native: NativeVm, vcpus: MachineVcpus, pin: readonly number[]): void {
  if (native.maxVcpus === 1 && pin.length === 0) {
    native.carryVcpu(0, vcpus.first.fd, vcpus.first.run);
    return;
  }
  for (const index of vcpus.indices) startVcpu(native, index, vcpus.at(index), pin[index]);
}

/** Starts the thread of a vCPU, parked. @param cpu the host CPU for it, if any. @throws an error for the user */
export function startVcpu(native: NativeVm, index: number, { fd, run }: VcpuFd, cpu?: number): void {
  try {
    native.startVcpu(index, fd, run, cpu);
  } catch (error) {
    if (cpu === undefined || !(error instanceof SystemError) || error.code !== 'EINVAL') throw error;
    throw new Error(
      `vCPU ${index} cannot be pinned to host CPU ${cpu}: pick one that is online and that vring may use, ` +
        'see Cpus_allowed_list in /proc/self/status',
    );
  }
}
