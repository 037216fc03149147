import { serialPort, shownAs, TOO_MANY_PORTS } from '../serial-ports.ts';
import type { Draft, Place } from './draft.ts';

/** Values that connect the console to the terminal, where it already is. */
const HERE = /^(mon:)?(stdio|vc(:.*)?)$/;

/** -serial, -parallel, virtio consoles: the first console of a guest is COM1 or a virtio console; other serial ports have their own. */
export function placeConsoles(draft: Draft): void {
  const [com1] = draft.serialPorts;
  const hasCom1 = com1 === undefined ? !draft.noDefaults : com1.value !== 'none';
  for (const [index, port] of draft.serialPorts.entries()) {
    const entry = serialPort(index);
    if (port.value === 'none') {
      if (index === 0) draft.leaveOut(port, 'every guest has COM1');
    } else if (index > 0 && entry === null) draft.leaveOut(port, TOO_MANY_PORTS);
    else {
      if (entry !== null) draft.addDevice(port, entry);
      if (!HERE.test(port.value)) draft.leaveOut(port, shownAs(index));
    }
  }
  const [first, ...others] = draft.virtioConsoles;
  if (first === undefined) return;
  if (!hasCom1) draft.fields.console = 'virtio';
  for (const place of hasCom1 ? [first, ...others] : others) {
    draft.leaveOut(place, `a guest has one console, which is ${hasCom1 ? 'COM1' : 'another one'}`);
  }
}

/** A -device that is a port connected to a -chardev. */
export function addConsoleDevice(draft: Draft, driver: string, place: Place): void {
  if (driver === 'isa-serial') draft.serialPorts.push({ ...place, value: 'chardev' });
  else draft.virtioConsoles.push(place);
}
