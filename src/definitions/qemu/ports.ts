import type { Draft, Place } from './draft.ts';

/** Values that connect the console to the terminal, where it already is. */
const HERE = /^(mon:)?(stdio|vc(:.*)?)$/;

/** -serial, -parallel, virtio consoles: a guest has one console, COM1 or a virtio console. */
export function placeConsoles(draft: Draft): void {
  const [com1, ...more] = draft.serialPorts;
  const hasCom1 = com1 === undefined ? !draft.noDefaults : com1.value !== 'none';
  if (com1 !== undefined) {
    if (com1.value === 'none') draft.leaveOut(com1, 'every guest has COM1');
    else if (!HERE.test(com1.value)) draft.leaveOut(com1, 'COM1 is the console: vring vm console shows it');
  }
  for (const port of more) draft.leaveOut(port, 'a guest has one serial port, COM1, in this version');
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
