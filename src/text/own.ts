/** What a table has for a word from outside; nothing for `constructor` and the like, which every object inherits. */
export function own<Value>(table: Readonly<Record<string, Value>>, word: string): Value | undefined {
  return Object.hasOwn(table, word) ? table[word] : undefined;
}
