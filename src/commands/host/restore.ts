import { type RestoredItem, restoreHost } from '../../host/plan/restore.ts';
import type { HostRoot } from '../../host/root.ts';
import { type ChangeContext, systemContext, type TimedOptions } from './change.ts';

/** `vring host restore`. @returns the exit status: 1 if something could not be restored */
export async function restore(
  root: HostRoot,
  options: TimedOptions,
  context: ChangeContext = systemContext(root, options),
): Promise<number> {
  const say = options.json ? () => {} : context.say;
  const writer = context.writer();
  const items = await context.lock(
    () => restoreHost(writer, item => say(itemText(item))),
    holder => context.warn(`waiting: ${holder}`),
  );
  if (items.length === 0) say('nothing to restore: use --persist to store a change');
  if (options.json) context.sayJson({ version: 1, items });
  return items.some(item => item.state === 'refused' || item.state === 'failed') ? 1 : 0;
}

function itemText({ address, state, text }: RestoredItem): string {
  return `${address}: ${state}${text ? `: ${text}` : ''}`;
}
