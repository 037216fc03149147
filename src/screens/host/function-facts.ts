import { useMemo } from 'react';
import { useAppState, useUi } from '../../components/contexts.ts';
import type { Fact } from '../../view/facts.ts';
import { functionFacts } from '../../view/host-facts.ts';

const NOTHING: readonly Fact[] = [];

/** Facts about a function; empty for no function. */
export function useFunctionFacts(address: string | null): readonly Fact[] {
  const { hostSelect } = useUi();
  const host = useAppState(hostSelect.view);
  const read = useAppState(state => state.hostDetails);
  return useMemo(() => {
    if (host === null || address === null) return NOTHING;
    return functionFacts(host, address, read?.address === address ? read.details : null);
  }, [host, read, address]);
}
