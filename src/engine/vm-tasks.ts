import type { VmTask } from './snapshots/snapshot-info.ts';
import type { Vm } from './vm.ts';

/** The long operations on an engine's VMs: one at a time per VM, each of which can be canceled. */
export class VmTasks {
  /** By the VM's name. */
  readonly #running = new Map<string, AbortController>();

  /** @throws if an operation on the VM is in progress */
  async during<Result>(
    vm: Vm,
    { kind, name, phase }: Pick<VmTask, 'kind' | 'name' | 'phase'>,
    run: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const end = this.begin(vm, { kind, name, phase });
    try {
      return await run(end.signal);
    } finally {
      end();
    }
  }

  /** The same for an operation of several steps, until the returned function is called. */
  begin(
    vm: Vm,
    { kind, name, phase }: Pick<VmTask, 'kind' | 'name' | 'phase'>,
  ): (() => void) & { readonly signal: AbortSignal } {
    this.refuseOther(vm);
    const { name: key } = vm;
    const controller = new AbortController();
    this.#running.set(key, controller);
    vm.task = { kind, name, phase, done: 0, total: 0, waitingFor: [] };
    const end = () => {
      if (this.#running.get(key) !== controller) return;
      this.#running.delete(key);
      vm.task = null;
    };
    return Object.assign(end, { signal: controller.signal });
  }

  /** @throws if an operation on the VM is in progress */
  refuseOther({ name, task }: Pick<Vm, 'name' | 'task'>): void {
    if (!this.#running.has(name)) return;
    throw new Error(
      `${name} is busy: wait for its ${task === null ? 'operation' : TITLES[task.kind]}, or cancel it`,
    );
  }

  /** Cancels the VM's operation in progress; the VM continues as it was. */
  cancel(vm: Vm): void {
    const controller = this.#running.get(vm.name);
    if (controller === undefined) throw new Error(`${vm.name} has no operation in progress`);
    controller.abort(new Error('it was canceled'));
  }
}

/** What a task is called. */
export const TITLES: Readonly<Record<VmTask['kind'], string>> = {
  snapshot: 'snapshot',
  save: 'save',
  restore: 'restore',
  migrate: 'migration',
  receive: 'migration',
};
