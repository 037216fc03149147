/** The few man(7) macros that a page of ours needs, with their arguments and texts escaped (groff_man(7), groff_char(7)). */

/** mandoc -T lint wants no more. */
const LINE_LENGTH = 80;

export function heading(title: string): string {
  return `.SH ${quoted(title.toUpperCase())}`;
}

export function subheading(title: string): string {
  return `.SS ${quoted(title)}`;
}

/** Paragraphs below a heading, which begins the first one itself. */
export function paragraphs(texts: readonly string[]): string {
  return texts.map(filled).join('\n.PP\n');
}

/** A term, and what it means beside or below it. */
export function item(term: string, text: string): string {
  return `.TP\n\\fB${escaped(term)}\\fR\n${filled(text)}`;
}

/** Lines that stay as they are. */
export function verbatim(lines: readonly string[]): string {
  return ['.nf', '.RS 4', ...lines.map(line => unlikeARequest(escaped(line))), '.RE', '.fi'].join('\n');
}

/** A text that roff fills, in lines that fit into 80 columns where its words do. */
export function filled(text: string): string {
  const lines = [''];
  for (const word of markedUp(text).split(/\s+/)) {
    const line = lines.at(-1)!;
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= LINE_LENGTH) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.map(unlikeARequest).join('\n');
}

/** A text whose words between backticks are to be typed. */
function markedUp(text: string): string {
  const marked = escaped(text.replace(/`([^`]*)`/g, '\u0001$1\u0002'));
  return marked.replaceAll('\u0001', '\\fB').replaceAll('\u0002', '\\fR');
}

/** A text as it reads on the page: a hyphen that can be copied. */
export function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('~', '\\(ti')
    .replaceAll('^', '\\(ha')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga');
}

/** Only a period would make one: `escaped` leaves no apostrophe. */
function unlikeARequest(line: string): string {
  return line.startsWith('.') ? `\\&${line}` : line;
}

function quoted(text: string): string {
  return `"${escaped(text).replaceAll('"', '\\(dq')}"`;
}
