/**
 * What a filter lets through: a regular expression, taken as plain text while it is not a valid one; after `!` what does
 * not match; after `-f ` names that have the letters in this order. Upper and lower case are the same.
 */
export function nameFilter(filter: string): (name: string) => boolean {
  const inverse = /^!(.*)$/.exec(filter);
  if (inverse) {
    const matches = nameFilter(inverse[1]!);
    return inverse[1] === '' ? () => true : name => !matches(name);
  }
  const fuzzy = /^-f\s+(.*)$/.exec(filter);
  if (fuzzy) return name => inOrder(fuzzy[1]!.toLowerCase(), name.toLowerCase());
  if (filter === '' || filter === '-f') return () => true;
  try {
    const pattern = new RegExp(filter, 'i');
    return name => pattern.test(name);
  } catch {
    return name => name.toLowerCase().includes(filter.toLowerCase());
  }
}

function inOrder(letters: string, text: string): boolean {
  let at = 0;
  for (const letter of letters) {
    at = text.indexOf(letter, at) + 1;
    if (at === 0) return false;
  }
  return true;
}
