import type { XmlElement } from '@rgrove/parse-xml';
import type { DefinitionInput } from '../schema.ts';
import type { DomainDocument } from './document.ts';

type DeviceInput = NonNullable<DefinitionInput['devices']>[number];

/**
 * Attributes of a controller's <driver>, with the options of vring that they become, and the most that those accept.
 */
const OPTIONS = {
  queues: ['queues', 64],
  cmd_per_lun: ['cmd-per-lun', 1024],
  max_sectors: ['max-sectors', 0xffff_ffff],
} as const;

/**
 * <controller type='scsi'>. A definition implies one, which has all of its disks on bus scsi; the first of a domain is
 * listed only if it has options.
 */
export function readScsiControllers(document: DomainDocument, devices: XmlElement | null): DeviceInput[] {
  const all = document.children(devices, 'controller').filter(({ attributes }) => attributes.type === 'scsi');
  const indexOf = ({ attributes }: XmlElement) => Number(attributes.index ?? 0);
  const [first, ...others] = all.sort((a, b) => indexOf(a) - indexOf(b));
  for (const other of others) {
    document.skipAll(other);
    noteModel(document, other);
    const driver = document.child(other, 'driver');
    if (driver !== null) document.leaveOut(driver, 'its disks are on the first SCSI controller');
  }
  if (first === undefined) return [];
  for (const part of document.children(first, 'address')) document.skipAll(part);
  document.skipAll(document.child(first, 'alias'));
  document.skip(first, 'type', 'index', 'model', 'ports');
  noteModel(document, first);
  const options = readOptions(document, document.child(first, 'driver'));
  return Object.keys(options).length === 0
    ? []
    : [{ type: 'virtio-scsi', name: 'scsi0', ...options } as DeviceInput];
}

/** Guests need another driver for disks on a controller of another kind. */
function noteModel(document: DomainDocument, controller: XmlElement): void {
  const { model = 'virtio-scsi' } = controller.attributes;
  if (!/^(auto|virtio-scsi|virtio-(non-)?transitional)$/.test(model))
    document.leaveOut(
      controller,
      `it is a virtio-scsi controller instead of ${model}: the guest needs a driver for that`,
    );
}

function readOptions(document: DomainDocument, driver: XmlElement | null): Record<string, number> {
  if (driver === null) return {};
  // Each queue has a thread of its own.
  document.skip(driver, 'iothread');
  const read = Object.entries(OPTIONS).flatMap(([attribute, [key, most]]) => {
    const value = Number(driver.attributes[attribute] ?? 0);
    if (!Number.isInteger(value) || value < 1 || value > most) return [];
    document.skip(driver, attribute);
    return [[key, value]];
  });
  return Object.fromEntries(read) as Record<string, number>;
}
