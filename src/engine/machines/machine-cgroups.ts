import type { Cgroup } from '../../vmm/confinement/cgroup.ts';
import { CgroupParent, NoCgroups } from '../../vmm/confinement/cgroup-parent.ts';
import type { Layer } from '../../vmm/confinement/layer.ts';

/** A cgroup for each machine process, where the host and its administrator allow the manager to create any. */
export class MachineCgroups {
  /** Why there can be none; null while there can. */
  #reason: string | null = null;
  #parent: Pick<CgroupParent, 'create'> | null = null;
  readonly #prepare: () => Pick<CgroupParent, 'create'>;

  constructor(prepare: () => Pick<CgroupParent, 'create'> = () => CgroupParent.prepare()) {
    this.#prepare = prepare;
  }

  /** @returns null if none can be created */
  create(): Cgroup | null {
    if (this.#reason !== null) return null;
    try {
      this.#parent ??= this.#prepare();
      return this.#parent.create();
    } catch (error) {
      if (!(error instanceof NoCgroups)) throw error;
      this.#reason = error.message;
      return null;
    }
  }

  /** @returns the layers of a process, with the reason why it is in no cgroup */
  explain(layers: readonly Layer[]): readonly Layer[] {
    const reason = this.#reason;
    if (reason === null) return layers;
    return layers.map(layer =>
      layer.name === 'cgroup' && layer.state === 'off' ? { ...layer, state: 'unavailable', reason } : layer,
    );
  }
}
