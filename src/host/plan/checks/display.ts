import { classTraits } from '../../pci/class.ts';
import { readDetails } from '../../pci/details.ts';
import type { PciFunction } from '../../pci/function.ts';
import { functionsOfSlot } from '../../pci/tree.ts';
import { sentenceList } from '../../text.ts';
import { isParkingDriver } from '../../vfio/read.ts';
import type { Check } from '../plan.ts';
import { hostUse } from '../survey.ts';
import { block, ok, type Subject, warn } from './check.ts';

/** The console, and what a graphics card needs in a guest. */
export function displayCheck(subject: Subject): Check[] {
  const { survey, fn } = subject;
  const use = hostUse(survey, fn).display;
  const display = classTraits(fn.class).display;
  const checks: Check[] = [];
  if (use?.console) checks.push(block('display', fn.address, "it shows the host's text console"));
  for (const name of use?.serialConsoles ?? []) {
    checks.push(block('display', fn.address, `the kernel's console ${name} is on it`));
  }
  if (!display) return checks;
  checks.push(...bootDisplay(subject));
  const connected = (use?.cards ?? []).flatMap(card => card.connected);
  if (connected.length > 0 && !use?.console) {
    checks.push(warn('display', fn.address, `a monitor is connected to ${sentenceList(connected)}`));
  }
  checks.push(...companions(subject));
  if (readDetails(survey.root, fn).romSize === null) {
    checks.push(
      warn('rom', fn.address, 'its ROM cannot be read: the guest may need a ROM file to use the display'),
    );
  }
  return checks.length > 0 ? checks : [ok('display', fn.address, "the host's console is elsewhere")];
}

function bootDisplay({ survey, fn, taken }: Subject): Check[] {
  const others = survey.functions.filter(
    other => classTraits(other.class).display && !taken.has(other.address) && !isParkingDriver(other.driver),
  );
  if (others.length === 0) {
    const reason = 'it is the last display adapter: the host would have no display';
    return [fn.bootVga ? block('display', fn.address, reason) : warn('display', fn.address, reason)];
  }
  if (!fn.bootVga) return [];
  const reason = `it is the boot display; ${sentenceList(others.map(other => other.address))} would remain`;
  return [warn('display', fn.address, reason)];
}

/** HDMI audio and USB-C are functions of the card, and only work together with it. */
function companions({ survey, fn, taken }: Subject): Check[] {
  const staying = functionsOfSlot(fn, survey.functions).filter(
    (other: PciFunction) =>
      other.address !== fn.address && !taken.has(other.address) && !isParkingDriver(other.driver),
  );
  if (staying.length === 0) return [];
  const names = sentenceList(
    staying.map(other => `${other.address} (${other.names.class?.toLowerCase() ?? `class ${other.class}`})`),
  );
  return [warn('card', fn.address, `${names} of the same card would stay with the host`)];
}
