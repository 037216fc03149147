import type { HostRoot } from '../root.ts';
import { readModule } from '../vfio/modules.ts';
import { type Finding, info, ok } from './finding.ts';
import { type Cpu, nestedFinding } from './processor.ts';

const device = '/dev/kvm';

export function kvmFindings(root: HostRoot, cpu: Cpu): Finding[] {
  return [kvmDevice(root, cpu), ...kvmModule(root), ...nestedFinding(root, cpu)];
}

/** Parameters that affect what guests can do, or how fast they run. */
const shown: Readonly<Record<string, readonly string[]>> = {
  kvm: ['halt_poll_ns', 'ignore_msrs', 'tdp_mmu'],
  kvm_intel: ['ept', 'unrestricted_guest', 'enable_apicv'],
  kvm_amd: ['npt', 'avic', 'sev'],
};

function kvmModule(root: HostRoot): Finding[] {
  const loaded = Object.keys(shown)
    .map(name => readModule(root, name))
    .filter(module => module.state === 'loaded' || Object.keys(module.parameters).length > 0);
  if (loaded.length === 0) return [];
  const title = loaded.map(({ name, parameters }) => {
    const values = shown[name]!.filter(key => key in parameters).map(key => `${key}=${parameters[key]}`);
    return values.length > 0 ? `${name} (${values.join(', ')})` : name;
  });
  return [info('kvm.module', 'kvm', title.join(', '), 'KVM modules and their parameters')];
}

function kvmDevice(root: HostRoot, cpu: Cpu): Finding {
  const id = 'kvm.device';
  const why = 'vring runs VMs on KVM';
  const node = root.node(device);
  const module = cpu.flags.has('svm') ? 'kvm_amd' : 'kvm_intel';
  if (node?.usable) return ok(id, 'kvm', `${device} is accessible`, why);
  if (node) {
    return {
      id,
      area: 'kvm',
      state: 'fail',
      title: `this user cannot open ${device}`,
      why,
      repair: ['usermod -aG kvm <user>, then log in again; or run vring as root'],
    };
  }
  const { state } = readModule(root, module);
  return {
    id,
    area: 'kvm',
    state: 'fail',
    title: `${device} does not exist`,
    why,
    repair:
      state === 'absent'
        ? [`boot a kernel with CONFIG_KVM and ${module}`]
        : [
            `modprobe ${module}`,
            'if that fails, dmesg | grep -i kvm shows why (virtualization is often disabled in the firmware)',
          ],
  };
}
