import type { XmlElement } from '@rgrove/parse-xml';
import type { Input } from '../fields/inputs.ts';
import { libvirtDevice } from '../known-devices.ts';
import type { DefinitionInput } from '../schema.ts';
import type { DomainDocument } from './document.ts';

/** Every VM has them. */
const ALWAYS = ['keyboard', 'mouse'];

/** <input>: keyboards and pointers. */
export function readInputs(document: DomainDocument, devices: XmlElement | null): Input[] {
  return document.children(devices, 'input').flatMap((element): Input[] => {
    const { type = '', bus = type === 'tablet' ? 'usb' : 'ps2' } = element.attributes;
    const input = libvirtDevice('input', `${bus} ${type}`)?.definition.value as Input | undefined;
    if (bus === 'ps2' && ALWAYS.includes(type)) document.skipAll(element);
    else if (input !== undefined) {
      document.skipAll(element);
      return [input];
    } else
      document.leaveOut(element, `vring has no ${type} on ${bus}: the guest has a PS/2 keyboard and mouse`);
    return [];
  });
}

/** <controller type='usb'>: devices imply theirs; one without devices is for those that are added later. */
export function readUsbControllers(
  document: DomainDocument,
  devices: XmlElement | null,
  isImplied: boolean,
): NonNullable<DefinitionInput['devices']> {
  const controllers = document
    .children(devices, 'controller')
    .filter(({ attributes }) => attributes.type === 'usb' && attributes.model !== 'none');
  for (const controller of controllers) document.skipAll(controller);
  const isModern = controllers.some(({ attributes: { model = '' } }) => /^(qemu|nec)-xhci$/.test(model));
  return isModern && !isImplied ? [{ type: 'qemu-xhci' }] : [];
}
