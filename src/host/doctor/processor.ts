import type { HostRoot } from '../root.ts';
import { printable } from '../text.ts';
import { readModule } from '../vfio/modules.ts';
import { type Finding, info, ok } from './finding.ts';

export type Cpu = {
  readonly vendor: 'intel' | 'amd' | 'other';
  readonly model: string;
  readonly flags: ReadonlySet<string>;
};

/** The first CPU of /proc/cpuinfo; all have the same virtualization features. */
export function readCpu(root: HostRoot): Cpu {
  const text = (root.text('/proc/cpuinfo', 65_536) ?? '').split('\n\n')[0]!;
  const field = (name: string): string =>
    new RegExp(`^${name}[ \\t]*:[ \\t]*(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  const vendorId = field('vendor_id');
  const vendor =
    vendorId === 'GenuineIntel'
      ? 'intel'
      : ['AuthenticAMD', 'HygonGenuine'].includes(vendorId)
        ? 'amd'
        : 'other';
  return {
    vendor,
    model: printable(field('model name')),
    flags: new Set([...field('flags').split(/\s+/), ...field('vmx flags').split(/\s+/)]),
  };
}

export function processorFindings(root: HostRoot, cpu: Cpu): Finding[] {
  const extension = cpu.flags.has('vmx') ? 'Intel VT-x' : cpu.flags.has('svm') ? 'AMD-V' : null;
  return [virtualization(root, cpu, extension), ...nestedPaging(root, cpu, extension)];
}

function virtualization(root: HostRoot, cpu: Cpu, extension: string | null): Finding {
  const id = 'processor.virtualization';
  const why = 'KVM needs hardware virtualization to run guests';
  if (extension) return ok(id, 'processor', `${extension} on ${cpu.model || 'this processor'}`, why);
  const title = `${cpu.model || 'CPU'} reports neither SVM nor VMX`;
  // Some virtual machines get a KVM device that works without the extension.
  if (root.node('/dev/kvm')) return info(id, 'processor', `${title}, but /dev/kvm exists`, why);
  const hosted = cpu.flags.has('hypervisor');
  const name = { intel: 'VT-x', amd: 'SVM', other: 'virtualization' }[cpu.vendor];
  return {
    id,
    area: 'processor',
    state: 'fail',
    title,
    why,
    repair: hosted
      ? ['this host is a virtual machine: enable nested virtualization on its host']
      : [`enable ${name} in the firmware setup, then power-cycle the host`],
  };
}

function nestedPaging(root: HostRoot, cpu: Cpu, extension: string | null): Finding[] {
  if (extension === null) return [];
  const [module, parameter] = extension === 'AMD-V' ? ['kvm_amd', 'npt'] : ['kvm_intel', 'ept'];
  const id = 'processor.nested-paging';
  const why = 'without it, every guest page-table update exits to the hypervisor';
  const name = parameter === 'npt' ? 'NPT' : 'EPT';
  const used = readModule(root, module!).parameters[parameter!];
  if (!cpu.flags.has(parameter!)) {
    const title = `the CPU has no ${name}`;
    return [{ id, area: 'processor', state: 'warn', title, why, repair: [] }];
  }
  if (used !== undefined && !isYes(used)) {
    return [
      {
        id,
        area: 'processor',
        state: 'warn',
        title: `the CPU has ${name}, but ${module} does not use it`,
        why,
        repair: [
          `remove ${parameter}=0 from "options ${module}" in /etc/modprobe.d`,
          `modprobe -r ${module} && modprobe ${module}`,
        ],
      },
    ];
  }
  return [ok(id, 'processor', `${name} (nested paging)`, why)];
}

/** Nested virtualization: guests that run VMs. */
export function nestedFinding(root: HostRoot, cpu: Cpu): Finding[] {
  const module = cpu.flags.has('svm') ? 'kvm_amd' : 'kvm_intel';
  const value = readModule(root, module).parameters.nested;
  if (value === undefined) return [];
  const title = isYes(value) ? 'nested virtualization is on' : 'nested virtualization is off';
  return [info('kvm.nested', 'kvm', title, 'only guests that run VMs need it')];
}

/** Module parameters of type bool read Y or N, those of type int 1 or 0. */
export function isYes(value: string): boolean {
  return value === 'Y' || value === '1';
}
