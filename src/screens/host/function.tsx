import { useAppState } from '../../components/contexts.ts';
import { FactLines } from '../../components/fact-lines.tsx';
import type { Size } from '../../store/ui-slice.ts';
import { factLines } from '../../view/facts.ts';
import { useFunctionFacts } from './function-facts.ts';

/** Everything known about one PCI function. */
export function FunctionScreen({ address, size }: { address: string; size: Size }) {
  const facts = useFunctionFacts(address);
  const offset = useAppState(state => state.factsOffset);
  return (
    <FactLines
      lines={factLines(facts, size.columns - 1)}
      offset={offset}
      columns={size.columns}
      rows={size.rows}
    />
  );
}
