import { isConfigured, kernelParameterEdits } from '../boot/kernel-parameters.ts';
import { meetsRequest, type ParameterRequest } from '../boot/kernel-words.ts';
import { kernelParameters, parameterOptions } from '../kernel-cmdline.ts';
import type { HostRoot } from '../root.ts';
import { readModule } from '../vfio/modules.ts';
import { type Finding, info, ok } from './finding.ts';
import { type Cpu, isYes } from './processor.ts';

type FirmwareTable = 'DMAR' | 'IVRS';

/** Whether an IOMMU is in use. */
export function iommuActive(root: HostRoot): boolean {
  return (
    (root.list('/sys/class/iommu') ?? []).length > 0 ||
    (root.list('/sys/kernel/iommu_groups') ?? []).length > 0
  );
}

/**
 * Kernel parameters that enable the IOMMU at the next boot; pass-through mode keeps the host's own devices fast. AMD-Vi
 * is on by default: the kernel has no `amd_iommu=on`. The firmware's table decides which IOMMU the host has: a virtual
 * machine may have the other vendor's.
 */
export function iommuParameters(root: HostRoot, cpu: Pick<Cpu, 'vendor'>): ParameterRequest {
  const table = firmwareTable(root);
  const amd = table === null ? cpu.vendor === 'amd' : table === 'IVRS';
  if (amd) return { add: ['iommu=pt'], remove: ['amd_iommu=off'] };
  return { add: ['intel_iommu=on', 'iommu=pt'], remove: [] };
}

function firmwareTable(root: HostRoot): FirmwareTable | null {
  const tables = ['DMAR', 'IVRS'] as const;
  return tables.find(name => root.exists(`/sys/firmware/acpi/tables/${name}`)) ?? null;
}

export function iommuFindings(root: HostRoot, cpu: Cpu): Finding[] {
  const table = firmwareTable(root);
  const active = iommuActive(root);
  return [
    firmwareFinding(cpu, table, active),
    enabledFinding(root, cpu, table, active),
    ...(active ? [remappingFinding(root), domainFinding(root)] : []),
    unsafeInterrupts(root),
    acsOverride(root),
  ];
}

function firmwareFinding(cpu: Cpu, table: FirmwareTable | null, active: boolean): Finding {
  const id = 'iommu.firmware';
  const why = 'the kernel finds the IOMMU through firmware tables';
  if (table) return ok(id, 'iommu', `the firmware describes an IOMMU (ACPI ${table})`, why);
  // Virtual machines and other architectures use other tables.
  if (active) return info(id, 'iommu', 'an IOMMU is in use that ACPI does not describe', why);
  const name = cpu.vendor === 'amd' ? 'IOMMU (AMD-Vi)' : 'VT-d';
  return {
    id,
    area: 'iommu',
    state: 'fail',
    title: 'the firmware describes no IOMMU',
    why,
    repair: [
      `enable ${name} in the firmware setup; without that option this host cannot pass devices through`,
    ],
  };
}

function enabledFinding(root: HostRoot, cpu: Cpu, table: FirmwareTable | null, active: boolean): Finding {
  const id = 'iommu.enabled';
  const why = 'without it, a passed-through device could write to all host memory';
  if (active) {
    const count = (root.list('/sys/kernel/iommu_groups') ?? []).length;
    return ok(id, 'iommu', `the IOMMU is on: ${count} groups`, why);
  }
  const base = { id, area: 'iommu', state: 'fail', why } as const;
  if (table === null) return { ...base, title: 'the IOMMU is off', repair: ['fix iommu.firmware first'] };
  return { ...base, ...offFinding(root, iommuParameters(root, cpu)) };
}

/** Why it is off, as far as the parameters show, and how to enable it. */
function offFinding(root: HostRoot, request: ParameterRequest): Pick<Finding, 'title' | 'repair'> {
  const off = 'the IOMMU is off';
  if (meetsRequest(kernelParameters(root), request)) {
    const title = `${off}, although the kernel was started with ${request.add.join(' ')}`;
    return { title, repair: ['dmesg | grep -e DMAR -e AMD-Vi -e IOMMU shows why'] };
  }
  try {
    const edits = kernelParameterEdits(root, request);
    if (isConfigured(edits)) {
      return { title: `${off}; it is configured for the next boot`, repair: ['reboot'] };
    }
    const stale = edits.files.length === 0 ? edits.commands[0]?.reason : undefined;
    const title = stale === undefined ? off : `${off}: ${stale}`;
    return { title, repair: ['vring iommu enable', 'reboot'] };
  } catch (error) {
    return { title: off, repair: [(error as Error).message, 'reboot'] };
  }
}

function remappingFinding(root: HostRoot): Finding {
  const id = 'iommu.interrupt-remapping';
  const why =
    "without it, a guest's device could inject any interrupt into the host, so VFIO refuses the device";
  const remapping = interruptRemapping(root);
  if (remapping === 'on') return ok(id, 'iommu', 'interrupt remapping is on', why);
  const missing = remapping === 'unsupported';
  return {
    id,
    area: 'iommu',
    state: 'warn',
    title: missing ? 'this chipset does not support interrupt remapping' : 'interrupt remapping is off',
    why,
    repair: missing
      ? [
          'only if you trust every guest: add "options vfio_iommu_type1 allow_unsafe_interrupts=1" in /etc/modprobe.d',
        ]
      : ['remove intremap=off and nointremap from the kernel command line; update the firmware'],
  };
}

/**
 * Whether the IOMMU checks the interrupts that devices send. `unsupported`: the chipset cannot; `unknown`: not
 * recorded.
 */
export function interruptRemapping(root: HostRoot): 'on' | 'off' | 'unsupported' | 'unknown' {
  const interrupts = root.text('/proc/interrupts', 16 << 20);
  // IR- marks Intel's and AMD's IOMMUs; ITS- marks Arm's interrupt controller, which remaps on its own.
  if (/\b(IR-|ITS-)/.test(interrupts ?? '')) return 'on';
  const dmar = root.exists('/sys/firmware/acpi/tables/DMAR') ? dmarFlags(root) : null;
  if (dmar !== null && (dmar & 1) === 0) return 'unsupported';
  return interrupts === null ? 'unknown' : 'off';
}

/** The flags byte of the DMAR table (VT-d specification §8.1); null if it is not readable. */
function dmarFlags(root: HostRoot): number | null {
  try {
    const table = root.bytes('/sys/firmware/acpi/tables/DMAR', 64);
    return table && table.length > 37 ? table.readUInt8(37) : null;
  } catch {
    // Readable by root only.
    return null;
  }
}

function domainFinding(root: HostRoot): Finding {
  const passthrough = parameterOptions(kernelParameters(root), 'iommu').includes('pt');
  const title = passthrough
    ? 'host devices bypass DMA translation (iommu=pt)'
    : 'host devices use DMA translation';
  return info(
    'iommu.host-domain',
    'iommu',
    title,
    'iommu=pt avoids the translation overhead for fast NICs and disks of the host',
  );
}

function unsafeInterrupts(root: HostRoot): Finding {
  const id = 'iommu.unsafe-interrupts';
  const why = 'it allows passthrough although a guest could inject any interrupt into the host';
  const on = ['vfio_iommu_type1', 'iommufd'].filter(module =>
    isYes(readModule(root, module).parameters.allow_unsafe_interrupts ?? 'N'),
  );
  if (on.length === 0) return ok(id, 'iommu', 'allow_unsafe_interrupts is off', why);
  return {
    id,
    area: 'iommu',
    state: 'warn',
    title: `allow_unsafe_interrupts is on in ${on.join(' and ')}`,
    why,
    repair: on.map(module => `remove allow_unsafe_interrupts from "options ${module}" in /etc/modprobe.d`),
  };
}

function acsOverride(root: HostRoot): Finding {
  const id = 'iommu.acs-override';
  const why =
    'it claims isolation that the hardware does not provide: a guest may reach devices outside its own';
  const options = parameterOptions(kernelParameters(root), 'pcie_acs_override');
  if (options.length === 0) return ok(id, 'iommu', 'pcie_acs_override is not set', why);
  return {
    id,
    area: 'iommu',
    state: 'warn',
    title: `pcie_acs_override=${options.join(',')} is set`,
    why,
    repair: ['remove pcie_acs_override from the kernel command line unless you trust every guest'],
  };
}
