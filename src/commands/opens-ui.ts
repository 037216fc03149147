/** The options of the UI without and with a value (open-ui.ts). */
const FLAGS: ReadonlySet<string> = new Set(['--read-only', '--ascii', '--no-color', '--screen-reader']);
const WITH_VALUE: ReadonlySet<string> = new Set(['--host-root', '--theme']);

/**
 * Whether this command line opens the UI with a manager. Anything unusual is left to the whole program.
 * @param words everything after `vring`
 */
export function opensUi([word, ...rest]: readonly string[]): boolean {
  if (word === undefined) return true;
  if (WITH_VALUE.has(word)) return rest.length > 0 && opensUi(rest.slice(1));
  const isOption = FLAGS.has(word) || WITH_VALUE.has(word.replace(/=.*/s, ''));
  return isOption && opensUi(rest);
}
