import { parseAddress } from '../pci/address.ts';
import type { HostRoot } from '../root.ts';
import { parseLinks } from '../sriov/ip-link.ts';
import { isParkingDriver } from '../vfio/read.ts';
import type { Condition } from './plan.ts';

/** Whether it holds on the host now. Nothing is cached, so it can be polled. */
export async function holds(root: HostRoot, condition: Condition): Promise<boolean> {
  switch (condition.kind) {
    case 'attribute':
      return plainValue(root.attribute(condition.path)) === condition.value;
    case 'driver':
      return root.linkName(`${condition.device}/driver`) === condition.driver;
    case 'host-driver': {
      const driver = root.linkName(`${condition.device}/driver`);
      return (driver !== null && !isParkingDriver(driver)) === condition.bound;
    }
    case 'module-idle':
      return boundDevices(root, condition.module).length === 0;
    case 'exists':
      return root.exists(condition.path) === condition.exists;
    case 'vfio-node':
      return vfioNodes(root, condition.device).length > 0 === condition.exists;
    case 'file':
      return root.text(condition.path, 16 << 20) === condition.content;
    case 'contains': {
      const text = root.text(condition.path, 16 << 20);
      return text !== null && condition.texts.every(each => text.includes(each));
    }
    case 'module':
      return root.exists(`/sys/module/${condition.module}`) === condition.loaded;
    case 'vf-count':
      return (
        root.attribute(`${condition.device}/sriov_numvfs`) === String(condition.count) &&
        virtualFunctions(root, condition.device).length === condition.count
      );
    case 'vf-attribute':
      return (await vfAttribute(root, condition)) === condition.value;
    case 'output': {
      const result = await root.query(...condition.argv);
      const output = result?.exitCode === 0 ? result.stdout : null;
      if (output === null) return false;
      return (
        condition.has.every(text => output.includes(text)) &&
        !condition.lacks.some(text => output.includes(text))
      );
    }
  }
}

export async function firstUnmet(
  root: HostRoot,
  conditions: readonly Condition[],
): Promise<Condition | null> {
  for (const condition of conditions) if (!(await holds(root, condition))) return condition;
  return null;
}

/** The actual state when a condition does not hold; '' if that adds nothing. */
export async function foundInstead(root: HostRoot, condition: Condition): Promise<string> {
  switch (condition.kind) {
    case 'attribute':
      return `it reads ${plainValue(root.attribute(condition.path)) || 'nothing'}`;
    case 'driver':
    case 'host-driver': {
      const driver = root.linkName(`${condition.device}/driver`);
      return driver === null ? 'no driver is bound' : `it is bound to ${driver}`;
    }
    case 'module-idle':
      return `it has ${boundDevices(root, condition.module).join(', ')}`;
    case 'vf-count':
      return `it has ${virtualFunctions(root, condition.device).length}`;
    case 'vf-attribute':
      return `it has ${(await vfAttribute(root, condition)) ?? 'none'}`;
    default:
      return '';
  }
}

/** Addresses of the PCI devices bound to a module's drivers. */
function boundDevices(root: HostRoot, module: string): string[] {
  const drivers = root.list(`/sys/module/${module}/drivers`) ?? [];
  return drivers
    .filter(name => name.startsWith('pci:'))
    .flatMap(name => root.list(`/sys/bus/pci/drivers/${name.slice('pci:'.length)}`) ?? [])
    .filter(name => parseAddress(name) !== null);
}

/** `/dev/vfio/12` of its group, and `/dev/vfio/devices/vfio0` if the kernel has device nodes. */
function vfioNodes(root: HostRoot, device: string): string[] {
  const group = root.linkName(`${device}/iommu_group`);
  const noIommu = root.attribute(`${device}/iommu_group/name`) === 'vfio-noiommu';
  const paths = [
    ...(group === null ? [] : [`/dev/vfio/${noIommu ? 'noiommu-' : ''}${group}`]),
    ...(root.list(`${device}/vfio-dev`) ?? []).map(name => `/dev/vfio/devices/${name}`),
  ];
  return paths.filter(path => root.node(path) !== null);
}

function virtualFunctions(root: HostRoot, device: string): string[] {
  const links = (root.list(device) ?? []).filter(name => /^virtfn\d+$/.test(name));
  return links.filter(name => root.exists(`${device}/${name}/uevent`));
}

async function vfAttribute(
  root: HostRoot,
  { interface: name, index, attribute }: Extract<Condition, { kind: 'vf-attribute' }>,
): Promise<string | number | boolean | null> {
  const result = await root.query('ip', '-j', '-d', 'link');
  const links = result?.exitCode === 0 ? parseLinks(result.stdout) : null;
  return links?.get(name)?.vfs.get(index)?.[attribute] ?? null;
}

/** An unset driver_override reads differently by kernel version. */
function plainValue(value: string | null): string | null {
  return value === '(null)' ? '' : value;
}
