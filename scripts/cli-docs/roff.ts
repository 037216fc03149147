/** The man(7) macros that our page needs, with arguments and text escaped (groff_man(7), groff_char(7)). */

/** The limit of mandoc -T lint. */
const LINE_LENGTH = 80;

export function heading(title: string): string {
  return `.SH ${quoted(title.toUpperCase())}`;
}

export function subheading(title: string): string {
  return `.SS ${quoted(title)}`;
}

/** Paragraphs below a heading, which starts the first one implicitly. */
export function paragraphs(texts: readonly string[]): string {
  return texts.map(filled).join('\n.PP\n');
}

/** A term with its description. */
export function item(term: string, text: string): string {
  return `.TP\n\\fB${escaped(term)}\\fR\n${filled(text)}`;
}

/** Preformatted lines. */
export function verbatim(lines: readonly string[]): string {
  return ['.nf', '.RS 4', ...lines.map(line => unlikeARequest(escaped(line))), '.RE', '.fi'].join('\n');
}

/** Text for roff to fill, in source lines of at most 80 columns if possible. */
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

/** Text with literals between backticks. */
function markedUp(text: string): string {
  const marked = escaped(text.replace(/`([^`]*)`/g, '\u0001$1\u0002'));
  return marked.replaceAll('\u0001', '\\fB').replaceAll('\u0002', '\\fR');
}

/** Escaped text, with hyphens that can be copied. */
export function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('~', '\\(ti')
    .replaceAll('^', '\\(ha')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga');
}

/** Escapes a leading period, which would start a request; `escaped` leaves no apostrophes. */
function unlikeARequest(line: string): string {
  return line.startsWith('.') ? `\\&${line}` : line;
}

function quoted(text: string): string {
  return `"${escaped(text).replaceAll('"', '\\(dq')}"`;
}
