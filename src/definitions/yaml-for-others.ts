import { Document, Scalar, visit } from 'yaml';

/** Lists of words and numbers stay on one line; nothing is folded. */
const STYLE = { lineWidth: 0, flowCollectionPadding: false } as const;

/**
 * What a YAML 1.1 reader refuses as not printable, or reads as a line break (YAML 1.1 §4.1.1 and §4.2), and characters
 * that disguise text. Only a double-quoted string may contain one, as an escape.
 */
const NOT_PRINTABLE =
  /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]/u;

/**
 * A definition's YAML: plain where YAML 1.1 and 1.2 agree, quoted where they differ. Ansible and scripts read these
 * files with YAML 1.1 parsers, for which `no` is false and `12:30` is 750.
 */
export function definitionYaml(value: object): string {
  // `=` and `<<` have their own tags in YAML 1.1; PyYAML accepts no tab in a plain string.
  return write(value, text => NOT_PRINTABLE.test(text) || /\t|^(=|<<)$/.test(text));
}

/**
 * YAML for a program that reads YAML 1.1, as cloud-init does (PyYAML). Every string is quoted, so that the reader does
 * not take it for a number, a boolean or a date.
 */
export function yaml11(value: object): string {
  return write(value, () => true);
}

function write(value: object, isQuoted: (text: string) => boolean): string {
  const document = new Document(value, { compat: 'yaml-1.1', aliasDuplicateObjects: false });
  visit(document, {
    Scalar: (key, node) => {
      if (key !== 'key' && typeof node.value === 'string' && isQuoted(node.value))
        node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return document
    .toString(STYLE)
    .replace(
      new RegExp(NOT_PRINTABLE, 'gu'),
      character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
}
