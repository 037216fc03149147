import { readKernelConfig } from '../doctor/kernel-config.ts';
import type { PciFunction } from '../pci/function.ts';
import { kernelRelease } from '../pci/modules.ts';
import type { HostSurvey } from '../plan/survey.ts';
import type { DeviceNode } from '../recorded-facts.ts';
import { sentenceList } from '../text.ts';
import { readModule } from '../vfio/modules.ts';
import { needsNoIommu } from '../vfio/no-iommu.ts';
import { isVfioDriver } from '../vfio/read.ts';
import type { PassthroughRequest, Reason, VfioApi } from './assessment.ts';
import { block, ok } from './reason.ts';

/** The interface through which a function is opened, and what the host lacks for each; null if it lacks nothing. */
export type ApiChoice = {
  readonly fn: PciFunction;
  /** The interface that the request demands; null if it leaves the choice. */
  readonly forced: VfioApi | null;
  readonly chosen: VfioApi | null;
  readonly lacks: Readonly<Record<VfioApi, string | null>>;
};

export function chooseApi(survey: HostSurvey, fn: PciFunction, request: PassthroughRequest): ApiChoice {
  const iommufd = request.options?.[fn.address]?.iommufd ?? request.iommufd;
  const forced = iommufd === undefined ? null : iommufd ? 'iommufd' : 'group';
  const lacks = { group: lackForGroups(survey), iommufd: lackForIommufd(survey, fn) };
  const allowed: readonly VfioApi[] = forced === null ? ['iommufd', 'group'] : [forced];
  return { fn, forced, chosen: allowed.find(api => lacks[api] === null) ?? null, lacks };
}

/**
 * Since 6.6, devices have their own files (CONFIG_VFIO_DEVICE_CDEV), and groups can be disabled (CONFIG_VFIO_GROUP).
 */
const CDEV_RELEASE = [6, 6] as const;

function hasCdevs(survey: HostSurvey): boolean {
  const [major = 0, minor = 0] = (kernelRelease(survey.root) ?? '').split('.').map(Number);
  return major > CDEV_RELEASE[0] || (major === CDEV_RELEASE[0] && minor >= CDEV_RELEASE[1]);
}

function lackForGroups(survey: HostSurvey): string | null {
  if (survey.vfio.devices.some(device => device.groupNode !== null)) return null;
  const config = readKernelConfig(survey.root);
  // A kernel has at least one of the two interfaces.
  if (config?.get('VFIO_DEVICE_CDEV') === 'y' && config.get('VFIO_GROUP') !== 'y') {
    return 'this kernel has no VFIO groups (CONFIG_VFIO_GROUP is not set)';
  }
  const { state } = readModule(survey.root, 'vfio_iommu_type1');
  return state === 'absent' ? 'this kernel has no module vfio_iommu_type1 (CONFIG_VFIO_IOMMU_TYPE1)' : null;
}

function lackForIommufd(survey: HostSurvey, fn: PciFunction): string | null {
  if (needsNoIommu(survey.root, fn)) return 'iommufd needs an IOMMU';
  if (survey.vfio.iommufd === null && readModule(survey.root, 'iommufd').state === 'absent') {
    return 'this kernel has no iommufd (CONFIG_IOMMUFD)';
  }
  if (survey.vfio.devices.some(device => device.deviceNode !== null)) return null;
  const config = readKernelConfig(survey.root);
  const cdev = config === null ? hasCdevs(survey) : config.get('VFIO_DEVICE_CDEV') === 'y';
  return cdev ? null : 'VFIO devices have no files of their own in this kernel (CONFIG_VFIO_DEVICE_CDEV)';
}

/** The interface, and whether this user may open its files. */
export function apiReasons(survey: HostSurvey, choices: readonly ApiChoice[]): Reason[] {
  const bound = choices.filter(({ fn }) => isVfioDriver(fn.driver));
  const denied = bound.flatMap(choice => nodesOf(survey, choice)).filter(node => !node.usable);
  const unbound = choices.filter(choice => !bound.includes(choice)).map(({ fn }) => fn.address);
  const reasons = choices.map(choice =>
    choice.chosen === null
      ? missingApi(choice)
      : ok('api', null, `the VM opens it through ${NAMES[choice.chosen]}`),
  );
  if (denied.length > 0) reasons.push(deniedNodes(denied));
  if (unbound.length > 0 && isOrdinaryUser(survey)) {
    const reason = 'only root may change which driver a device is bound to';
    reasons.push(block('node', null, reason, `as root: vring vfio bind --group ${unbound.join(' ')}`));
  }
  return reasons;
}

const NAMES: Readonly<Record<VfioApi, string>> = { group: 'a VFIO group and container', iommufd: 'iommufd' };

function missingApi({ forced, lacks }: ApiChoice): Reason {
  if (forced === null) {
    const reason = `the host offers no interface of VFIO: ${lacks.group}; ${lacks.iommufd}`;
    return block(
      'api',
      null,
      reason,
      "install the kernel's full module package, or boot the distribution's kernel",
    );
  }
  const other = forced === 'iommufd' ? 'group' : 'iommufd';
  const repair = lacks[other] === null ? [`leave out iommufd: ${forced === 'iommufd'}`] : [];
  const what = forced === 'iommufd' ? 'iommufd was asked for' : 'a VFIO group was asked for (iommufd: false)';
  return block('api', null, `${what}, but ${lacks[forced]}`, ...repair);
}

function nodesOf({ vfio }: HostSurvey, { fn, chosen }: ApiChoice): DeviceNode[] {
  const device = vfio.devices.find(({ address }) => address === fn.address);
  const nodes =
    chosen === 'iommufd' ? [vfio.iommufd, device?.deviceNode] : [vfio.container, device?.groupNode];
  return nodes.filter(node => node !== null && node !== undefined);
}

function deniedNodes(nodes: readonly DeviceNode[]): Reason {
  const paths = [...new Set(nodes.map(({ path }) => path))];
  return block(
    'node',
    null,
    `this user may not open ${sentenceList(paths)}`,
    `as root: chown "$USER" ${paths.join(' ')}`,
    'for good: a udev rule such as SUBSYSTEM=="vfio", OWNER="<user>" in /etc/udev/rules.d/90-vfio.rules; or run vring as root',
  );
}

/** Whether the process that reads the host, or that recorded it, has no privileges. */
function isOrdinaryUser({ root }: HostSurvey): boolean {
  const status = root.text('/proc/self/status') ?? '';
  const uid = /^Uid:\s*\d+\s+(\d+)/m.exec(status)?.[1];
  return uid !== undefined && uid !== '0';
}
