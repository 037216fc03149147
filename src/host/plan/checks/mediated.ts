import type { PciFunction } from '../../pci/function.ts';
import { sentenceList } from '../../text.ts';
import { holderAndUser, holdersOf } from '../../use/holders.ts';
import type { Check } from '../plan.ts';
import { type HostSurvey, virtualFunctionsOf } from '../survey.ts';
import { block, impossible, type Subject } from './check.ts';

const directory = '/sys/bus/mdev/devices';

/**
 * Whether the function, or a VF of it, has been divided into mediated devices such as vGPUs
 * (Documentation/driver-api/vfio-mediated-device.rst). They end with its driver, which waits for a VM that has one
 * open.
 */
export function mediatedCheck({ survey, fn }: Pick<Subject, 'survey' | 'fn'>): Check[] {
  const devices = mediatedDevices(survey, fn);
  if (devices.length === 0) return [];
  const nodes = new Set(devices.map(({ group }) => `/dev/vfio/${group}`));
  const { byKey } = holdersOf(survey.openFiles, ({ target }) => (nodes.has(target) ? target : null));
  const held = devices.flatMap(({ name, group }) =>
    (byKey.get(`/dev/vfio/${group}`) ?? []).map(holder => `${name} is open in ${holderAndUser(holder)}`),
  );
  if (held.length > 0) {
    const reason = `its mediated device ${sentenceList(held)}: stop this VM first`;
    return [impossible('held', fn.address, reason)];
  }
  const names = devices.map(({ name }) => name);
  const [verb, them] = names.length === 1 ? ['ends', 'device'] : ['end', 'devices'];
  const reason = `the mediated ${them} ${sentenceList(names)} on it ${verb} with its driver: remove ${names.length === 1 ? 'it' : 'them'} first (echo 1 > ${directory}/${names[0]}/remove)`;
  return [block('held', fn.address, reason)];
}

function mediatedDevices(
  survey: HostSurvey,
  fn: PciFunction,
): { readonly name: string; readonly group: string | null }[] {
  const { root } = survey;
  const parents = [fn, ...virtualFunctionsOf(survey, fn)].map(each => `${each.path}/`);
  const isOnIt = (real: string | null): boolean =>
    real !== null && parents.some(parent => real.startsWith(parent));
  return (root.list(directory) ?? [])
    .filter(name => isOnIt(root.real(`${directory}/${name}`)))
    .map(name => ({ name, group: root.linkName(`${directory}/${name}/iommu_group`) }));
}
