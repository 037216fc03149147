import type { XmlElement } from '@rgrove/parse-xml';
import { nvmeController, nvmeNamespace } from '../../devices/storage/nvme/rows.ts';
import { diskLimits } from '../fields/disk-limits.ts';
import type { DiskInput } from '../fields/disks.ts';
import { MAX_SERIAL } from '../qemu/drives.ts';
import type { DefinitionInput } from '../schema.ts';
import type { DomainDocument } from './document.ts';

type DeviceInput = NonNullable<DefinitionInput['devices']>[number];

/** A <disk> on bus nvme, which is a namespace. */
export type NvmeDisk = { readonly element: XmlElement; readonly disk: DiskInput };

/**
 * <controller type='nvme'> and its disks: one with a single disk becomes that disk, on bus nvme; one with several
 * becomes devices.
 */
export function readNvmeControllers(
  document: DomainDocument,
  devices: XmlElement | null,
  disks: readonly NvmeDisk[],
): { readonly disks: ReadonlyMap<XmlElement, DiskInput>; readonly devices: readonly DeviceInput[] } {
  const serials = new Map<string, string>();
  const given = document
    .children(devices, 'controller')
    .filter(({ attributes }) => attributes.type === 'nvme');
  for (const [at, controller] of given.entries()) {
    const index = controller.attributes.index ?? String(at);
    const serialElement = document.child(controller, 'serial');
    const serial = document.text(serialElement);
    document.skipAll(controller);
    if (!disks.some(({ element }) => placeOf(document, element).controller === index))
      document.leaveOut(controller, 'it has no disks');
    else if (serial !== null && serial !== '') serials.set(index, serial.slice(0, MAX_SERIAL));
  }
  const single = new Map<XmlElement, DiskInput>();
  const several: DeviceInput[] = [];
  const byController = Map.groupBy(disks, ({ element }) => placeOf(document, element).controller);
  for (const [index, namespaces] of byController) {
    const serial =
      serials.get(index) ?? namespaces.find(({ disk }) => disk.serial !== undefined)?.disk.serial;
    const own = { ...(serial !== undefined && { serial }) };
    const [first, ...others] = namespaces;
    if (others.length === 0) {
      single.set(first!.element, { ...first!.disk, ...own });
      continue;
    }
    const name = `nvme${several.filter(({ type }) => type === nvmeController.type).length}`;
    several.push({ type: nvmeController.type, name, ...own } as DeviceInput);
    for (const { element, disk } of namespaces) {
      const { file, bus: _, serial: __, limits, ...rest } = disk;
      const { namespace } = placeOf(document, element);
      several.push({
        ...{ type: nvmeNamespace.type, path: file, bus: name },
        ...(namespace !== null && { addr: namespace }),
        ...rest,
        ...(limits !== undefined && { limits: diskLimits.parse(limits) }),
      } as DeviceInput);
    }
  }
  return { disks: single, devices: several };
}

/** The controller of a disk, and the number of its namespace: nvme0n1 is the first of controller 0. */
function placeOf(
  document: DomainDocument,
  element: XmlElement,
): { readonly controller: string; readonly namespace: string | null } {
  const address = document.child(element, 'address');
  const name = document.child(element, 'target')?.attributes.dev ?? '';
  const [, controller, namespace] = /^nvme(\d{1,3})n([1-9]\d?)$/.exec(name) ?? [];
  const given = address?.attributes.type === 'drive' ? address.attributes.controller : undefined;
  return { controller: given ?? controller ?? '0', namespace: namespace ?? null };
}
