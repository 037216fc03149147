import { capability } from '../../pci/capabilities.ts';
import { readDetails } from '../../pci/details.ts';
import type { PciFunction } from '../../pci/function.ts';
import type { Check } from '../plan.ts';
import type { HostSurvey } from '../survey.ts';
import { block, type Subject, warn } from './check.ts';

/**
 * Whether the function responds on the bus. If it does not, unbinding its driver may hang, and no guest can use it. In
 * D3cold after a runtime suspend it is only asleep.
 */
export function responseCheck({ survey, fn }: Subject): Check[] {
  const silent = silentPart(survey, fn);
  if (silent !== null) {
    const link = deadLink(survey, fn);
    const reason = `${silent} does not respond: its config space reads all ones${link}; it may be unplugged or powered off`;
    return [block('response', fn.address, reason)];
  }
  return powerChecks(survey, fn);
}

/** The function, its physical function or an upstream bridge that does not respond. */
function silentPart(survey: HostSurvey, fn: PciFunction): string | null {
  if (fn.configAccess === 'dead') return 'it';
  const physical = fn.physicalFunction === null ? undefined : survey.byAddress.get(fn.physicalFunction);
  if (physical?.configAccess === 'dead') return `its physical function ${physical.address}`;
  const bridge = bridgesAbove(survey, fn).find(each => each.configAccess === 'dead');
  return bridge === undefined ? null : `the bridge ${bridge.address} above it`;
}

/** The nearest upstream port whose link is down, for the reason. */
function deadLink(survey: HostSurvey, fn: PciFunction): string {
  const port = bridgesAbove(survey, fn).find(
    bridge => capability(bridge.capabilities, 'pcie')?.link?.active === false,
  );
  return port === undefined ? '' : ` and the link below ${port.address} is down`;
}

function powerChecks({ root }: HostSurvey, fn: PciFunction): Check[] {
  const { powerState, runtimeStatus } = readDetails(root, fn);
  if (runtimeStatus === 'error') {
    const reason = 'its power management failed (runtime_status is error): it may not wake up';
    return [warn('response', fn.address, reason)];
  }
  if (powerState === 'D3cold' && runtimeStatus === 'active') {
    const reason = 'it is in D3cold although its driver is active: it failed to wake up';
    return [block('response', fn.address, reason)];
  }
  if (fn.configAccess === 'none') {
    const reason = 'cannot tell whether it responds: its config space is not readable';
    return [warn('response', fn.address, reason)];
  }
  const enabled = root.attribute(`${fn.path}/enable`);
  if (enabled === '0' && fn.driver !== null && runtimeStatus === 'active') {
    const reason = `${fn.driver} is bound, but the device is disabled (enable is 0): its probe may have failed`;
    return [warn('response', fn.address, reason)];
  }
  return [];
}

/** Nearest first. */
function bridgesAbove(survey: HostSurvey, fn: PciFunction): PciFunction[] {
  const above: PciFunction[] = [];
  for (let at = fn.parent; at !== null; ) {
    const bridge = survey.byAddress.get(at);
    if (bridge === undefined || above.includes(bridge)) break;
    above.push(bridge);
    at = bridge.parent;
  }
  return above;
}
