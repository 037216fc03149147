import { slotOf } from '../pci/address.ts';
import { readDetails } from '../pci/details.ts';
import type { PciFunction } from '../pci/function.ts';
import { groupMembers, type HostSurvey } from '../plan/survey.ts';
import { sentenceList } from '../text.ts';
import type { Reason } from './assessment.ts';
import { hangsInReset } from './graphics.ts';
import { ok, warn } from './reason.ts';

const WHY =
  'what one guest leaves in it reaches the next one, and after a crash it may not work until the host reboots';

/**
 * How the device is reset between guests: alone, or with its whole bus if everything on that comes along
 * (VFIO_DEVICE_PCI_HOT_RESET).
 * @param asked all functions that the VM gets
 */
export function resetReason(survey: HostSurvey, fn: PciFunction, asked: readonly PciFunction[]): Reason {
  const { resetMethods, resettable } = readDetails(survey.root, fn);
  const family = hangsInReset(fn);
  if (family !== null && !resetMethods?.includes(OWN_RESET)) return hangs(fn, family);
  if (resetMethods === null && resettable) return ok('reset', fn.address, 'the kernel can reset it');
  const own = (resetMethods ?? []).filter(method => method !== 'bus');
  if (own.length > 0) return ok('reset', fn.address, `the kernel can reset it by ${own.join(', ')}`);
  const beside = functionsOnBus(survey, fn);
  if (beside === null) {
    return warn('reset', fn.address, `it cannot be reset: ${WHY}`, ...vendorAdvice(fn));
  }
  const along = new Set(asked.flatMap(each => groupMembers(survey, each)));
  const staying = beside.filter(other => !along.has(other));
  if (staying.length === 0) {
    const others = beside.length === 0 ? '' : `, together with ${names(beside)}`;
    return ok('reset', fn.address, `it can be reset with its bus${others}`);
  }
  const reason = `it can be reset only with its bus, on which ${names(staying)} ${staying.length === 1 ? 'is' : 'are'} too, so it is not reset: ${WHY}`;
  return warn('reset', fn.address, reason, `pass ${names(staying)} too`, ...vendorAdvice(fn));
}

/** The kernel's name for a reset that only a module for this device knows. */
const OWN_RESET = 'device_specific';

function hangs(fn: PciFunction, family: string): Reason {
  const reason = `cards of the ${family} family hang in the resets that the kernel knows: once its VM has ended or rebooted, it may not work until the host reboots`;
  return warn(
    'reset',
    fn.address,
    reason,
    'install the vendor-reset module (github.com/gnif/vendor-reset): modprobe vendor-reset',
    `then choose its reset: echo ${OWN_RESET} > /sys/bus/pci/devices/${fn.address}/reset_method`,
  );
}

/** The other functions below the same bridge; null on a root bus, which cannot be reset. */
function functionsOnBus(survey: HostSurvey, fn: PciFunction): PciFunction[] | null {
  if (fn.parent === null) return null;
  const bus = slotOf(fn.address).slice(0, -2);
  return survey.functions.filter(
    other =>
      other.address !== fn.address &&
      other.parent === fn.parent &&
      slotOf(other.address).slice(0, -2) === bus &&
      other.physicalFunction === null,
  );
}

function names(functions: readonly PciFunction[]): string {
  return sentenceList(functions.map(({ address }) => address));
}

/** Many graphics cards of AMD hang in the standard resets. */
function vendorAdvice(fn: PciFunction): string[] {
  return fn.vendor === '1002' ? ['for many AMD graphics cards, the vendor-reset module resets them'] : [];
}
