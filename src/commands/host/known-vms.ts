import type { Definition } from '../../definitions/schema.ts';
import { DefinitionStore } from '../../definitions/store.ts';
import { isAlive } from '../../engine/vm-info.ts';
import { withVmList } from '../vm/with-vm-list.ts';
import type { KnownVms } from './passthrough-check.ts';

/** The definitions of this user, and which of them run. */
export async function readKnownVms(): Promise<KnownVms> {
  const store = new DefinitionStore();
  const running = await withVmList(
    async list =>
      new Set(
        list
          .vms()
          .filter(isAlive)
          .map(vm => vm.name),
      ),
  );
  return {
    definition: name => store.definition(name),
    definitions: () =>
      store
        .list()
        .flatMap(({ name, problem }): Definition[] => (problem === null ? [store.definition(name)] : [])),
    isRunning: name => running.has(name),
  };
}
