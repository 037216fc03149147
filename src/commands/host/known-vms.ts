import type { Definition } from '../../definitions/schema.ts';
import { DefinitionStore } from '../../definitions/store.ts';
import { isAlive } from '../../engine/vm-info.ts';
import type { HostRoot } from '../../host/root.ts';
import { withVmList } from '../vm/with-vm-list.ts';
import type { KnownVms } from './passthrough-check.ts';

/** This user's definitions, and which of them run; on a recorded host none does, and no manager is asked. */
export async function readKnownVms(root: HostRoot): Promise<KnownVms> {
  const store = new DefinitionStore();
  const running = root.live ? await runningVms() : new Set<string>();
  return {
    definition: name => store.definition(name),
    definitions: () =>
      store
        .list()
        .flatMap(({ name, problem }): Definition[] => (problem === null ? [store.definition(name)] : [])),
    isRunning: name => running.has(name),
  };
}

async function runningVms(): Promise<ReadonlySet<string>> {
  return await withVmList(
    async list =>
      new Set(
        list
          .vms()
          .filter(isAlive)
          .map(vm => vm.name),
      ),
  );
}
