import { type Fact, factLines } from '../view/facts.ts';
import type { ActionContext } from './action.ts';

/** Shows all facts about the row at the cursor, which may be more than fit below its list. */
export function readFacts({ ui, state }: ActionContext, title: string, facts: readonly Fact[]): void {
  const lines = factLines(facts, state.size.columns - 1);
  ui.read(
    title,
    lines.map(({ name, text }) => `${name} ${text}`),
  );
}
