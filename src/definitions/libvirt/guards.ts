import type { XmlElement } from '@rgrove/parse-xml';
import { deviceTable } from '../../devices/registry.ts';
import type { DefinitionInput } from '../schema.ts';
import type { DomainDocument } from './document.ts';

type DeviceInput = NonNullable<DefinitionInput['devices']>[number];

/** The watchdog actions of libvirt that the device has, too. */
const ACTIONS = ['reset', 'shutdown', 'poweroff', 'pause', 'none'];

/** <watchdog> and <panic>: devices that notify the host of a guest that hangs or has crashed. */
export function readGuards(document: DomainDocument, devices: XmlElement | null): DeviceInput[] {
  return [
    ...document.children(devices, 'watchdog').flatMap(element => readWatchdog(document, element)),
    ...document.children(devices, 'panic').flatMap(element => readPanic(document, element)),
  ];
}

function readWatchdog(document: DomainDocument, element: XmlElement): DeviceInput[] {
  const model = document.attribute(element, 'model') ?? '';
  const action = document.attribute(element, 'action') ?? 'reset';
  const type = typeOf('watchdog', model);
  if (type === null) {
    document.leaveOut(element, `vring has no watchdog ${model}: it has i6300esb`);
    return [];
  }
  if (!ACTIONS.includes(action)) {
    document.leaveOut(element, `vring's watchdogs have no action ${action}`);
    return [];
  }
  for (const skipped of ['address', 'alias']) document.skipAll(document.child(element, skipped));
  return [{ type, ...(action !== 'reset' && { action }) } as DeviceInput];
}

function readPanic(document: DomainDocument, element: XmlElement): DeviceInput[] {
  const model = document.attribute(element, 'model') ?? 'isa';
  const type = typeOf('panic', model);
  if (type === null) {
    document.leaveOut(element, `vring has no panic device ${model}`);
    return [];
  }
  const address = document.child(element, 'address');
  const port = address?.attributes.type === 'isa' ? address.attributes.iobase : undefined;
  for (const skipped of [address, document.child(element, 'alias')]) document.skipAll(skipped);
  return [{ type, ...(port !== undefined && { ioport: Number(port) }) } as DeviceInput];
}

function typeOf(element: 'watchdog' | 'panic', model: string): string | null {
  const row = deviceTable.configurable.find(
    ({ libvirt }) => libvirt?.element === element && libvirt.models.includes(model),
  );
  return row?.type ?? null;
}
