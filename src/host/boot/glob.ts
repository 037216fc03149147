/**
 * fnmatch(3) with `*`, `?` and `[..]`, as modprobe, udev and systemd use it. The time is bounded by the product of the
 * lengths.
 */
export function globMatches(pattern: string, text: string): boolean {
  const tokens = tokensOf(pattern);
  let [token, at] = [0, 0];
  // Where to resume if what follows the last star does not match: one character later.
  let [star, from] = [-1, 0];
  while (at < text.length) {
    const next = tokens[token];
    if (next === '*') [star, from] = [token++, at];
    else if (next?.(text[at]!)) {
      token++;
      at++;
    } else if (star >= 0) {
      token = star + 1;
      at = ++from;
    } else return false;
  }
  return tokens.slice(token).every(each => each === '*');
}

type GlobToken = '*' | ((char: string) => boolean);

function tokensOf(pattern: string): GlobToken[] {
  return [...pattern.matchAll(/\[(!|\^)?(\]?[^\]]*)\]|\\?[\s\S]/g)].map(match => {
    const [text, negated, set] = match;
    if (text === '*') return '*';
    if (text === '?') return () => true;
    if (set !== undefined) return (char: string) => inSet(set, char) === (negated === undefined);
    const plain = text.at(-1)!;
    return (char: string) => char === plain;
  });
}

/** `a-f0` */
function inSet(set: string, char: string): boolean {
  for (let at = 0; at < set.length; at++) {
    const range = set[at + 1] === '-' && at + 2 < set.length;
    const last = range ? set[at + 2]! : set[at]!;
    if (set[at]! <= char && char <= last) return true;
    if (range) at += 2;
  }
  return false;
}
