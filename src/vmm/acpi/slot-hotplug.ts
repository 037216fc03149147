import { type Aml, concat, device, integer, name, scope } from '../../devices/acpi/aml.ts';
import {
  and,
  callMethod,
  fields,
  ifThen,
  local,
  method,
  named,
  notify,
  portRegion,
  store,
} from '../../devices/acpi/aml-code.ts';
import { AcpiSlots } from '../../devices/pci/acpi-slots.ts';
import type { PciPlace } from '../../devices/pci/pci-function.ts';
import { GPE, PORT } from '../memory/layout.ts';

/** Notifications of a slot's device (ACPI 6.5 §5.6.6). */
const DEVICE_CHECK = 1;
const EJECT_REQUEST = 3;

/** The name of a function's device under its bus, `S080` for 01.0. */
export function functionPath({ slot, function: fn }: PciPlace): string {
  return `S${(slot * 8 + fn).toString(16).toUpperCase().padStart(2, '0')}0`;
}

/** A device at an address of bus 0 (ACPI 6.5 §6.1.1). */
export function functionDevice(place: PciPlace, ...terms: Aml[]): Aml {
  return device(functionPath(place), name('_ADR', integer(place.slot * 0x1_0000 + place.function)), ...terms);
}

/**
 * The terms of the host bridge for hot-plug slots: the registers (AcpiSlots), and a method that notifies the slots'
 * devices according to them. Bit n is slot n.
 */
export function hotplugMethods(slots: readonly number[]): Aml {
  const [up, down] = [local(0), local(1)];
  const inform = (which: Aml, slot: number, value: number) =>
    ifThen(
      and(which, integer(2 ** slot)),
      notify(named(functionPath({ slot, function: 0 })), integer(value)),
    );
  return concat(
    portRegion('PCST', PORT.pciHotplug, AcpiSlots.size),
    fields('PCST', ['PCIU', 'PCID', 'B0EJ']),
    method(
      'PCNT',
      0,
      store(named('PCIU'), up),
      store(named('PCID'), down),
      ...slots.flatMap(slot => [inform(up, slot, DEVICE_CHECK), inform(down, slot, EJECT_REQUEST)]),
    ),
  );
}

/** The terms of such a slot's device: its number, which the guest displays, and its ejection. */
export function ejectableSlot(slot: number): Aml {
  return concat(name('_SUN', integer(slot)), method('_EJ0', 1, store(integer(2 ** slot), named('B0EJ'))));
}

/** The event that such a slot causes, edge-triggered. */
export function hotplugEvent(): Aml {
  const event = GPE.pciHotplug.toString(16).toUpperCase().padStart(2, '0');
  return scope('_GPE', method(`_E${event}`, 0, callMethod('\\_SB.PCI0.PCNT')));
}
