/** A table's entry for an untrusted word; undefined for `constructor` and the like, which every object inherits. */
export function own<Value>(table: Readonly<Record<string, Value>>, word: string): Value | undefined {
  return Object.hasOwn(table, word) ? table[word] : undefined;
}
