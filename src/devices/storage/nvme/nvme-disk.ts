import type { Device, DeviceState } from '../../device.ts';
import { stateOf } from '../../state.ts';
import type { NvmeController } from './controller.ts';
import type { DiskNamespace } from './disk-namespace.ts';

/** A controller and its only namespace, as one device. */
export class NvmeDisk implements Device {
  readonly name: string;
  readonly #controller: NvmeController;
  readonly #namespace: DiskNamespace;

  constructor(controller: NvmeController, namespace: DiskNamespace) {
    this.name = controller.name;
    this.#controller = controller;
    this.#namespace = namespace;
    controller.add(1, namespace);
  }

  reset(): void {
    this.#namespace.reset();
    this.#controller.reset();
  }

  quiesce(done: () => void): void {
    this.#controller.quiesce(() => this.#namespace.quiesce(done));
  }

  resume(): void {
    this.#namespace.resume();
    this.#controller.resume();
  }

  save(): DeviceState {
    return { ...this.#controller.save(), drive: this.#namespace.save() };
  }

  load(state: DeviceState): void {
    this.#namespace.load(stateOf(state, 'drive'));
    this.#controller.load(state);
  }

  close(): void {
    this.#controller.close();
    this.#namespace.close();
  }
}
