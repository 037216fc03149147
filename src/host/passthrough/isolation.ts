import { ramLayout } from '../../vmm/memory/ram-layout.ts';
import { interruptRemapping, iommuFindings } from '../doctor/iommu.ts';
import { readKernelConfig } from '../doctor/kernel-config.ts';
import { isYes, readCpu } from '../doctor/processor.ts';
import type { IommuGroup } from '../iommu/groups.ts';
import { slotOf } from '../pci/address.ts';
import type { PciFunction } from '../pci/function.ts';
import { groupMembers, type HostSurvey, staysWithHost } from '../plan/survey.ts';
import { sentenceList } from '../text.ts';
import { readModule } from '../vfio/modules.ts';
import { isNoIommuGroup, needsNoIommu } from '../vfio/no-iommu.ts';
import { isParkingDriver } from '../vfio/read.ts';
import type { ApiChoice } from './api.ts';
import type { PassthroughRequest, Reason } from './assessment.ts';
import { BACKENDS } from './modules.ts';
import { block, ok, warn } from './reason.ts';

/** Whether an IOMMU keeps the device's memory accesses within its guest. */
export function isolationReasons(survey: HostSurvey, fn: PciFunction, request: PassthroughRequest): Reason[] {
  if (needsNoIommu(survey.root, fn)) {
    return [acceptsNoIommu(fn, request) ? noIommuReason(survey, fn) : missingIommu(survey, fn)];
  }
  const group = survey.groups.get(fn.iommuGroup!);
  return [
    ok('iommu', fn.address, `isolated by the IOMMU in group ${fn.iommuGroup}`),
    ...(group === undefined
      ? []
      : [...sharingReasons(survey, fn, group, request), ...reservedReasons(fn, group, request.vm)]),
  ];
}

/** Whether the request accepts that the device can reach all host memory. */
export function acceptsNoIommu(fn: PciFunction, { options, unsafeNoIommu }: PassthroughRequest): boolean {
  return options?.[fn.address]?.unsafeNoIommu ?? unsafeNoIommu ?? false;
}

function missingIommu(survey: HostSurvey, fn: PciFunction): Reason {
  if (isNoIommuGroup(survey.root, fn)) {
    const reason =
      'it has no IOMMU and is in no-IOMMU mode: a guest with it could read and write all host memory';
    return block('iommu', fn.address, reason, 'only if you trust the guest like root: unsafe-no-iommu: true');
  }
  if (survey.groups.size > 0) {
    const reason = 'it is in no IOMMU group: the firmware tables omit it, so VFIO refuses it';
    return block(
      'iommu',
      fn.address,
      reason,
      'update the firmware, or move the card to a slot whose devices are in groups: vring iommu list',
    );
  }
  const findings = iommuFindings(survey.root, readCpu(survey.root));
  const failed = findings.filter(({ state }) => state === 'fail');
  const repair = failed.flatMap(finding => finding.repair).filter(text => !text.startsWith('fix iommu.'));
  const title = failed.map(finding => finding.title).join('; ') || 'the IOMMU is off or absent';
  return block('iommu', fn.address, title, ...repair);
}

const NO_IOMMU = '/sys/module/vfio/parameters/enable_unsafe_noiommu_mode';

/** The explicit choice: VFIO without an IOMMU (linux/Documentation/driver-api/vfio.rst, CONFIG_VFIO_NOIOMMU). */
function noIommuReason({ root }: HostSurvey, fn: PciFunction): Reason {
  if (
    isYes(readModule(root, 'vfio').parameters.enable_unsafe_noiommu_mode ?? 'N') ||
    isNoIommuGroup(root, fn)
  ) {
    const reason = 'UNSAFE: without an IOMMU, the guest can read and write all host memory through it';
    return warn('iommu', fn.address, reason);
  }
  const config = readKernelConfig(root);
  if (config !== null && config.get('VFIO_NOIOMMU') !== 'y') {
    const reason = 'no-IOMMU mode was asked for, but this kernel lacks it (CONFIG_VFIO_NOIOMMU is not set)';
    return block('iommu', fn.address, reason, 'boot a kernel with CONFIG_VFIO_NOIOMMU, or enable the IOMMU');
  }
  const reason = 'no-IOMMU mode was asked for, but it is off';
  return block('iommu', fn.address, reason, 'modprobe vfio', `echo Y > ${NO_IOMMU}`);
}

/**
 * Interrupts that a device sends as memory writes (MSI) must be checked, too: otherwise, VFIO refuses the group
 * (vfio_iommu_type1_attach_group: EPERM).
 */
export function interruptReasons(survey: HostSurvey, choices: readonly ApiChoice[]): Reason[] {
  return choices
    .filter(({ fn }) => !needsNoIommu(survey.root, fn))
    .map(({ chosen }) => interruptReason(survey, BACKENDS[chosen ?? 'group']));
}

function interruptReason(survey: HostSurvey, module: string): Reason {
  const state = interruptRemapping(survey.root);
  if (state === 'on') return ok('interrupts', null, 'interrupt remapping is on');
  if (state === 'unknown') {
    return warn(
      'interrupts',
      null,
      'cannot tell whether interrupt remapping is on: /proc/interrupts is missing',
    );
  }
  const allowed = readModule(survey.root, module).parameters.allow_unsafe_interrupts ?? 'N';
  if (isYes(allowed)) {
    const reason = `UNSAFE: interrupt remapping is off and ${module} allows that: the guest can send any interrupt to the host`;
    return warn('interrupts', null, reason);
  }
  const what =
    state === 'unsupported' ? 'this chipset has no interrupt remapping' : 'interrupt remapping is off';
  const repair =
    state === 'unsupported'
      ? []
      : ['remove intremap=off and nointremap from the kernel command line, or update the firmware; reboot'];
  return block(
    'interrupts',
    null,
    `${what}, so VFIO refuses the device: the guest could send any interrupt to the host`,
    ...repair,
    `only if you trust every guest: echo Y > /sys/module/${module}/parameters/allow_unsafe_interrupts`,
  );
}

/** Why other members come along, that is, stop serving the host. */
function sharingReasons(
  survey: HostSurvey,
  fn: PciFunction,
  group: IommuGroup,
  { addresses }: PassthroughRequest,
): Reason[] {
  const others = groupMembers(survey, fn).filter(
    each => each !== fn && !staysWithHost(each) && !addresses.includes(each.address),
  );
  if (others.length === 0) return [];
  const why = group.reasons.map(({ text }) => text).join('; ');
  const names = sentenceList(others.map(each => each.address));
  const because = why === '' ? '' : `: ${why}`;
  const serving = others.some(each => each.driver !== null && !isParkingDriver(each.driver));
  if (!serving)
    return [
      ok('acs', fn.address, `it shares group ${group.id} with ${names}, which no host driver uses${because}`),
    ];
  const reason = `${names} ${others.length === 1 ? 'comes' : 'come'} along in group ${group.id}${because}`;
  return [warn('acs', fn.address, reason, ...waysToSeparate(fn, group, others))];
}

function waysToSeparate(fn: PciFunction, { reasons }: IommuGroup, others: readonly PciFunction[]): string[] {
  // Functions of one device stay together wherever it is.
  if (others.every(each => slotOf(each.address) === slotOf(fn.address))) return [];
  if (reasons.some(({ kind }) => kind === 'conventional-bus')) {
    return ['to separate them, move the card to a PCI Express slot, or to a slot behind another bridge'];
  }
  return [
    'to separate them, move the card to a slot below another root port, or enable ACS in the firmware setup',
  ];
}

function reservedReasons(
  fn: PciFunction,
  { id, reserved }: IommuGroup,
  vm: PassthroughRequest['vm'],
): Reason[] {
  const direct = reserved.filter(({ type }) => type === 'direct');
  if (direct.length > 0) {
    const ranges = sentenceList(direct.map(({ start, end }) => `${start}-${end}`));
    const reason = `the firmware itself uses memory through group ${id} (${ranges}, RMRR or IVMD), so the kernel refuses to pass it`;
    return [
      block(
        'reserved',
        fn.address,
        reason,
        "turn off the firmware's use of the slot (HPE: shared memory features, with conrep), or move the card to another slot",
      ),
    ];
  }
  if (vm === undefined) return [];
  const ram = ramLayout(vm.memoryBytes, vm.firmware);
  const inRam = reserved.filter(
    ({ start, end, type }) =>
      type === 'reserved' &&
      ram.some(({ address, size }) => Number(start) < address + size && Number(end) >= address),
  );
  if (inRam.length === 0) return [];
  const ranges = sentenceList(inRam.map(({ start, end }) => `${start}-${end}`));
  const reason = `the IOMMU cannot map ${ranges}, where the VM would have memory`;
  return [block('reserved', fn.address, reason, 'give the VM less memory')];
}
