import { useAppState, useUi } from '../../components/contexts.ts';
import { isAlive } from '../../engine/vm-info.ts';
import { own } from '../../text/own.ts';
import { restingText } from '../../view/vm-facts.ts';

/** Why a tab is empty: the VM is not running, and how to start it; `otherwise` if it is running. */
export function useEmptyText(id: string, otherwise: string): string {
  const isReadOnly = useUi().readOnly !== null;
  return useAppState(state => {
    const vm = own(state.infos, id);
    return vm === undefined || isAlive(vm) ? otherwise : restingText(vm, isReadOnly);
  });
}
