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

/** The vCPUs with which the machine starts. @param entry where the first one starts */
export function createVcpus(config: MachineConfig, kvm: Kvm, vm: VmFd, entry: VcpuStart): VcpuFd[] {
  const { maxVcpus } = kvm;
  const most = maxCpus(config);
  if (most > maxVcpus)
    throw new Error(
      `this host's KVM allows at most ${maxVcpus} vCPUs per VM, not ${most}: give the VM fewer`,
    );
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
  const apicIds = apicIdsOf(topology).slice(0, config.cpus);
  return apicIds.map((apicId, index) => {
    const vcpu = vm.createVcpu(apicId);
    const cpuid = guestCpuid(supported, options, { topology, apicId });
    if (config.boot.kind === 'firmware') powerOnVcpu(vcpu, cpuid, index === 0 && entry !== null);
    else setUpVcpu(vcpu, cpuid, index === 0 && entry !== 'firmware' ? entry : null);
    return vcpu;
  });
}

/**
 * Starts the vCPUs' threads, parked. If a machine can have only one vCPU, the machine thread itself runs it and answers
 * its exits, unless it is pinned to a host CPU.
 * @param pin host CPUs, by vCPU
 */
export function startVcpus(native: NativeVm, vcpus: readonly VcpuFd[], pin: readonly number[]): void {
  const [first] = vcpus;
  if (native.maxVcpus === 1 && pin.length === 0) {
    native.carryVcpu(0, first!.fd, first!.run);
    return;
  }
  vcpus.forEach(({ fd, run }, index) => {
    const cpu = pin[index];
    try {
      native.startVcpu(index, fd, run, cpu);
    } catch (error) {
      if (cpu === undefined || !(error instanceof SystemError) || error.code !== 'EINVAL') throw error;
      throw new Error(
        `vCPU ${index} cannot be pinned to host CPU ${cpu}: pick one that is online and that vring may use, ` +
          'see Cpus_allowed_list in /proc/self/status',
      );
    }
  });
}
