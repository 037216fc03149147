/** Splits at single commas; a double comma is a comma in a value. */
export function splitCommas(text: string): string[] {
  const words: string[] = [];
  let word = '';
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== ',') word += text[at];
    else if (text[at + 1] === ',') word += text[++at];
    else {
      words.push(word);
      word = '';
    }
  }
  return [...words, word];
}
