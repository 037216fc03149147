/** The few man(7) macros that a page of ours needs, with their arguments and texts escaped (groff_man(7), groff_char(7)). */

export function heading(title: string): string {
  return `.SH ${quoted(title.toUpperCase())}`;
}

export function subheading(title: string): string {
  return `.SS ${quoted(title)}`;
}

export function paragraph(text: string): string {
  return `.PP\n${markedUp(text)}`;
}

/** A term, and what it means beside or below it. */
export function item(term: string, text: string): string {
  return `.TP\n\\fB${escaped(term)}\\fR\n${markedUp(text)}`;
}

/** Lines that stay as they are. */
export function verbatim(lines: readonly string[]): string {
  return ['.PP', '.nf', '.RS 4', ...lines.map(escaped), '.RE', '.fi'].join('\n');
}

/** A text whose words between backticks are to be typed. */
function markedUp(text: string): string {
  const marked = escaped(text.replace(/`([^`]*)`/g, '\u0001$1\u0002'));
  return marked.replaceAll('\u0001', '\\fB').replaceAll('\u0002', '\\fR');
}

/** A text as it shall be read: a hyphen that can be copied, no line that roff takes for a request. */
export function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('~', '\\(ti')
    .replaceAll('^', '\\(ha')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replace(/^\./gm, '\\&.');
}

function quoted(text: string): string {
  return `"${escaped(text).replaceAll('"', '\\(dq')}"`;
}
