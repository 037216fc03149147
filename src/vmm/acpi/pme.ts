import { type Aml, integer, name, packageOf, scope } from '../../devices/acpi/aml.ts';
import { method, named, notify } from '../../devices/acpi/aml-code.ts';
import { GPE } from '../memory/layout.ts';

const S3 = 3;
/** A device wakes the machine or itself up (ACPI 6.5 §5.6.6). */
const DEVICE_WAKE = 2;

/**
 * For the host bridge: the event by which functions behind it wake the machine up, from S3 at most (ACPI 6.5 §7.3.13).
 */
export function pmeWakes(): Aml {
  return name('_PRW', packageOf(integer(GPE.pme), integer(S3)));
}

/** The event that PME# causes: the guest then looks for the function. */
export function pmeEvent(): Aml {
  const event = GPE.pme.toString(16).toUpperCase().padStart(2, '0');
  return scope('_GPE', method(`_L${event}`, 0, notify(named('\\_SB.PCI0'), integer(DEVICE_WAKE))));
}
