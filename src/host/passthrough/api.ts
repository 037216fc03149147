import { readKernelConfig } from '../doctor/kernel-config.ts';
import type { PciFunction } from '../pci/function.ts';
import { kernelRelease } from '../pci/modules.ts';
import type { HostSurvey } from '../plan/survey.ts';
import type { DeviceNode } from '../recorded-facts.ts';
import { sentenceList } from '../text.ts';
import { readModule } from '../vfio/modules.ts';
import { needsNoIommu } from '../vfio/no-iommu.ts';
import { isVfioDriver } from '../vfio/read.ts';
import type { PassthroughRequest, Reason } from './assessment.ts';
import { block, ok } from './reason.ts';

/** The two interfaces of VFIO, and what the host lacks for each; null: nothing. */
export type ApiChoice = {
  readonly chosen: 'group' | 'iommufd' | null;
  readonly lacks: { readonly group: string | null; readonly iommufd: string | null };
};

/** @param forced true: iommufd; false: groups */
export function chooseApi(
  survey: HostSurvey,
  functions: readonly PciFunction[],
  forced: boolean | undefined,
): ApiChoice {
  const lacks = { group: lackForGroups(survey), iommufd: lackForIommufd(survey, functions) };
  if (forced !== undefined) {
    const api = forced ? 'iommufd' : 'group';
    return { chosen: lacks[api] === null ? api : null, lacks };
  }
  if (lacks.iommufd === null) return { chosen: 'iommufd', lacks };
  return { chosen: lacks.group === null ? 'group' : null, lacks };
}

/** From 6.6 on, devices have files of their own (CONFIG_VFIO_DEVICE_CDEV), and groups can be left out (CONFIG_VFIO_GROUP). */
const CDEV_RELEASE = [6, 6] as const;

function hasCdevs(survey: HostSurvey): boolean {
  const [major = 0, minor = 0] = (kernelRelease(survey.root) ?? '').split('.').map(Number);
  return major > CDEV_RELEASE[0] || (major === CDEV_RELEASE[0] && minor >= CDEV_RELEASE[1]);
}

function lackForGroups(survey: HostSurvey): string | null {
  if (survey.vfio.devices.some(device => device.groupNode !== null)) return null;
  const config = readKernelConfig(survey.root);
  // A kernel has one of the two interfaces at least.
  if (config?.get('VFIO_DEVICE_CDEV') === 'y' && config.get('VFIO_GROUP') !== 'y') {
    return 'this kernel has no VFIO groups (CONFIG_VFIO_GROUP is not set)';
  }
  const { state } = readModule(survey.root, 'vfio_iommu_type1');
  return state === 'absent' ? 'this kernel has no module vfio_iommu_type1 (CONFIG_VFIO_IOMMU_TYPE1)' : null;
}

function lackForIommufd(survey: HostSurvey, functions: readonly PciFunction[]): string | null {
  if (functions.some(fn => needsNoIommu(survey.root, fn))) return 'iommufd needs an IOMMU';
  if (survey.vfio.iommufd === null && readModule(survey.root, 'iommufd').state === 'absent') {
    return 'this kernel has no iommufd (CONFIG_IOMMUFD)';
  }
  if (survey.vfio.devices.some(device => device.deviceNode !== null)) return null;
  const config = readKernelConfig(survey.root);
  const cdev = config === null ? hasCdevs(survey) : config.get('VFIO_DEVICE_CDEV') === 'y';
  return cdev ? null : 'VFIO devices have no files of their own in this kernel (CONFIG_VFIO_DEVICE_CDEV)';
}

/** The interface, and whether this user may open its files. */
export function apiReasons(
  survey: HostSurvey,
  functions: readonly PciFunction[],
  { chosen, lacks }: ApiChoice,
  { iommufd, addresses }: PassthroughRequest,
): Reason[] {
  if (chosen === null) return [missingApi(lacks, iommufd)];
  const name = chosen === 'iommufd' ? 'iommufd' : 'a VFIO group and container';
  const bound = functions.filter(fn => isVfioDriver(fn.driver));
  const denied = nodesOf(survey, bound, chosen).filter(node => !node.usable);
  const unbound = addresses.length - bound.length;
  const reasons = [ok('api', null, `the VM opens it through ${name}`)];
  if (denied.length > 0) reasons.push(deniedNodes(denied));
  if (unbound > 0 && isOrdinaryUser(survey)) {
    const reason = 'only root may change which driver a device is bound to';
    reasons.push(block('node', null, reason, `as root: vring vfio bind --group ${addresses.join(' ')}`));
  }
  return reasons;
}

function missingApi(lacks: ApiChoice['lacks'], forced: boolean | undefined): Reason {
  if (forced === undefined) {
    const reason = `the host offers no interface of VFIO: ${lacks.group}; ${lacks.iommufd}`;
    return block(
      'api',
      null,
      reason,
      "install the kernel's full module package, or boot the distribution's kernel",
    );
  }
  const [wanted, other] = forced ? (['iommufd', 'group'] as const) : (['group', 'iommufd'] as const);
  const repair = lacks[other] === null ? [`leave out iommufd: ${forced ? 'true' : 'false'}`] : [];
  const what = forced ? 'iommufd was asked for' : 'VFIO groups were asked for (iommufd: false)';
  return block('api', null, `${what}, but ${lacks[wanted]}`, ...repair);
}

function nodesOf(
  survey: HostSurvey,
  functions: readonly PciFunction[],
  api: 'group' | 'iommufd',
): DeviceNode[] {
  const addresses = new Set(functions.map(fn => fn.address));
  const devices = survey.vfio.devices.filter(({ address }) => addresses.has(address));
  const own = devices.map(device => (api === 'iommufd' ? device.deviceNode : device.groupNode));
  const shared = api === 'iommufd' ? survey.vfio.iommufd : survey.vfio.container;
  return [
    ...new Map(
      [shared, ...own].flatMap(node => (node === null ? [] : [[node.path, node] as const])),
    ).values(),
  ];
}

function deniedNodes(nodes: readonly DeviceNode[]): Reason {
  const paths = nodes.map(({ path }) => path);
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
