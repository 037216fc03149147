import { DEVICE_NAME } from '../../devices/device-type.ts';
import type { DeviceConfig } from '../../devices/registry.ts';
import { nvme, nvmeController, nvmeNamespace } from '../../devices/storage/nvme/rows.ts';
import type { DiskInput } from '../fields/disks.ts';
import { OptionError } from './error.ts';
import type { Place } from './notes.ts';

/** The medium of a namespace, and its options as a device. */
export type NvmeMedium = {
  /** As of `-drive`. */
  readonly disk: Omit<DiskInput, 'bus' | 'file'> & { readonly file: string };
  /** The same as options of a device. */
  readonly options: Readonly<Record<string, unknown>>;
};

/** A `-device nvme` or `-device nvme-ns`. */
type Given = {
  readonly place: Place;
  readonly id: string | undefined;
  /** The options of the device, besides its type and medium. */
  readonly options: Readonly<Record<string, unknown>>;
};

type Namespace = Given & { readonly medium: NvmeMedium };
type Controller = Given & { readonly addr: { readonly addr?: string }; readonly namespaces: Namespace[] };

/** What `disks` can express. */
const DISK_OPTIONS = ['serial', 'bootindex'];
/** The options of a controller, rather than of its own namespace. */
const CONTROLLER_OPTIONS = ['serial', 'queues'];

/**
 * The NVMe controllers of a command line. One whose only namespace has number 1 is a disk on bus nvme of a definition,
 * if it has no other options; others become entries of `devices`.
 */
export class NvmeControllers {
  readonly #all: Controller[] = [];

  /** `-device nvme`. @param medium of its own namespace, which has number 1 */
  add(given: Given, addr: Controller['addr'], medium: NvmeMedium | null): void {
    const controller = { ...given, addr, namespaces: [] as Namespace[] };
    if (medium !== null)
      controller.namespaces.push({ ...given, id: undefined, options: { addr: '1' }, medium });
    this.#all.push(controller);
  }

  /** `-device nvme-ns`. @param bus QEMU's name of its bus: that of its controller. @throws OptionError */
  addNamespace(given: Given, bus: string | undefined, medium: NvmeMedium): void {
    const named = this.#all.find(({ id }) => id !== undefined && (bus === id || bus === `${id}.0`));
    const controller = named ?? (bus === undefined ? this.#all[0] : undefined);
    if (controller === undefined)
      throw new OptionError(
        bus === undefined
          ? 'it has no controller: give -device nvme,serial=... first'
          : `bus=${bus}: there is no such controller: define it first, with -device nvme,id=${bus},serial=...`,
      );
    controller.namespaces.push({ ...given, medium });
  }

  /** What they become: disks, and entries of `devices`. */
  *result(): Generator<
    | { readonly place: Place; readonly disk: DiskInput }
    | { readonly place: Place; readonly device: DeviceConfig }
  > {
    for (const [index, controller] of this.#all.entries()) {
      const [first, ...others] = controller.namespaces;
      const { place, options, addr } = controller;
      if (first === undefined) continue;
      const isOnly = others.length === 0 && (first.options.addr ?? '1') === '1';
      const { addr: _, ...own } = first.options;
      const all = { ...options, ...own };
      if (isOnly && Object.keys(all).every(key => DISK_OPTIONS.includes(key)))
        yield { place, disk: { ...first.medium.disk, bus: 'nvme', ...addr, ...(all as Partial<DiskInput>) } };
      else if (isOnly) {
        const name = nameOf(controller.id) ?? nameOf(first.id);
        const device = { type: nvme.type, ...(name && { name }), ...first.medium.options, ...all, ...addr };
        yield { place, device };
      } else yield* this.#several(controller, index);
    }
  }

  /** The options of controllers without namespaces. */
  get unused(): readonly Place[] {
    return this.#all.flatMap(({ place, namespaces }) => (namespaces.length === 0 ? [place] : []));
  }

  *#several({ place, id, options, addr, namespaces }: Controller, index: number) {
    const name = nameOf(id) ?? `${nvmeController.prefix}${index}`;
    const isOf = (key: string) => CONTROLLER_OPTIONS.includes(key);
    const own = Object.fromEntries(Object.entries(options).filter(([key]) => isOf(key)));
    const rest = Object.fromEntries(Object.entries(options).filter(([key]) => !isOf(key)));
    yield { place, device: { type: nvmeController.type, name, ...own, ...addr } };
    for (const namespace of namespaces) {
      const ownName = nameOf(namespace.id);
      const isOwn = namespace.place === place;
      const device = {
        type: nvmeNamespace.type,
        ...(ownName && { name: ownName }),
        ...namespace.medium.options,
        ...(isOwn && rest),
        ...namespace.options,
        bus: name,
      };
      yield { place: namespace.place, device };
    }
  }
}

/** An identifier as the name of a device; null if it cannot be one. */
function nameOf(id: string | undefined): string | null {
  return id !== undefined && DEVICE_NAME.pattern.test(id) ? id : null;
}
