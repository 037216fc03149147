import { DEVICE_NAME } from '../../devices/device-type.ts';
import type { DeviceConfig } from '../../devices/registry.ts';
import type { Place } from './notes.ts';

/** A controller of a command line: `-device virtio-scsi-pci`. */
type Controller = {
  readonly place: Place;
  /** QEMU's name of its bus is this and `.0`. */
  readonly id: string | undefined;
  /** As an entry of `devices`. */
  readonly entry: DeviceConfig;
  used: boolean;
};

/**
 * The SCSI controllers of a command line. A definition implies a plain one for its `disks` on bus scsi; any others
 * become entries of `devices`.
 */
export class ScsiControllers {
  readonly #all: Controller[] = [];

  add(place: Place, id: string | undefined, entry: DeviceConfig): void {
    this.#all.push({ place, id, entry, used: false });
  }

  /**
   * Records that a disk is on one of QEMU's buses, by default the first.
   * @returns whether it is the first
   */
  use(bus: string | undefined): boolean {
    const named = this.#all.find(({ id }) => id !== undefined && (bus === id || bus === `${id}.0`));
    const controller = named ?? this.#all[0];
    if (controller === undefined) return true;
    controller.used = true;
    return controller === this.#all[0];
  }

  /** The name of a controller by QEMU's name of its bus. */
  nameOf(bus: string): string | undefined {
    const index = this.#all.findIndex(({ id }) => bus === id || bus === `${id}.0`);
    return index < 0 ? undefined : this.#names[index];
  }

  get #names(): string[] {
    return this.#all.map(({ id }, index) =>
      id !== undefined && DEVICE_NAME.pattern.test(id) ? id : `scsi${index}`,
    );
  }

  /** The controllers that a definition must list: all of several, or a single one with options. */
  listed(): { readonly place: Place; readonly entry: DeviceConfig }[] {
    const isPlain =
      this.#all.length === 1 && Object.keys(this.#all[0]!.entry).every(key => ['type', 'name'].includes(key));
    if (isPlain) return [];
    const names = this.#names;
    return this.#all.map(({ place, entry }, index) => ({ place, entry: { ...entry, name: names[index]! } }));
  }

  /** The place of the only controller, if it has no disk. */
  unused(): readonly Place[] {
    const [only, ...others] = this.#all;
    return only === undefined || only.used || others.length > 0 || this.listed().length > 0
      ? []
      : [only.place];
  }
}
