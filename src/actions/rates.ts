import { own } from '../text/own.ts';
import { textEdit } from '../text/text-edit.ts';
import type { Ui } from './ui.ts';

/** Asks for a text in the status line, and shows errors there. */
export function askForText(
  ui: Ui,
  prompt: string,
  suggestion: string,
  submit: (text: string) => Promise<void>,
): void {
  // The prompt takes the place of a message.
  ui.clearNotice();
  ui.store.getState().pushLayer({
    kind: 'prompt',
    prompt,
    edit: textEdit(suggestion),
    fresh: false,
    inRowOf: null,
    range: null,
    submit: text => void ui.attempt(submit(text)),
  });
}

/**
 * `iops=500 bps=50M`; `none` or empty for no rates.
 * @param known how to parse the value of each. @param examples sample input for the error. @throws an error for the
 * user
 */
export function parseRates<Key extends string>(
  text: string,
  known: Readonly<Record<Key, (text: string) => number | null>>,
  examples: string,
): Partial<Record<Key, number>> {
  const words = text.split(/[\s,]+/).filter(word => word !== '' && word !== 'none');
  const rates = words.map(word => {
    const [key = '', value = ''] = word.split('=', 2);
    const rate = own<(text: string) => number | null>(known, key)?.(value) ?? null;
    if (rate === null) throw new Error(`"${word}" is not a limit: expected ${examples}`);
    return [key, rate];
  });
  return Object.fromEntries(rates) as Partial<Record<Key, number>>;
}
