import { parseXml, XmlElement, XmlError } from '@rgrove/parse-xml';
import { printable } from '../../text/printable.ts';
import { reasonFor } from './left-out.ts';

/** libvirt domains are a few KiB. */
export const MAX_DOMAIN_BYTES = 2 ** 20;

/** Text that is not a libvirt domain; the message names the file, the line and the reason. */
export class LibvirtError extends Error {
  override readonly name = 'LibvirtError';
}

/** An element or attribute that was left out of the definition. */
export type LeftOut = {
  /** `domain/devices/graphics`, `domain/os/boot@dev`. */
  readonly path: string;
  readonly line: number;
  /** Why, unless it is merely unknown to vring. */
  readonly reason: string | null;
};

/** The XML of a domain; it tracks which elements and attributes have been read. */
export class DomainDocument {
  readonly root: XmlElement;
  /** Where each line starts. */
  readonly #lines: readonly number[];
  readonly #file: string;
  readonly #read = new Map<XmlElement, Set<string>>();
  readonly #reasons = new Map<XmlElement, string>();

  /** Entities other than XML's own five are an error: none is ever resolved. @throws LibvirtError */
  constructor(text: string, file: string) {
    this.#lines = lineStarts(text);
    this.#file = file;
    if (Buffer.byteLength(text) > MAX_DOMAIN_BYTES)
      throw new LibvirtError(`${file}: a domain may have at most 1 MiB`);
    try {
      this.root = parseXml(text, { includeOffsets: true }).root as XmlElement;
    } catch (error) {
      if (error instanceof RangeError) throw new LibvirtError(`${file}: its elements are nested too deeply`);
      if (!(error instanceof XmlError)) throw error;
      throw new LibvirtError(printable(`${file}:${error.line}:${error.column}: ${reasonOf(error)}`));
    }
    if (this.root.name !== 'domain') {
      throw this.error(
        this.root,
        `expected a <domain>, not <${this.root.name}>: virsh dumpxml NAME writes one`,
      );
    }
    this.#mark(this.root);
  }

  /** The first child of this name. */
  child(parent: XmlElement | null, name: string): XmlElement | null {
    return this.children(parent, name)[0] ?? null;
  }

  children(parent: XmlElement | null, name: string): XmlElement[] {
    return elementsOf(parent).filter(element => element.name === name);
  }

  /** The text of an element, which counts as read; null if there is no element or no text. */
  text(element: XmlElement | null): string | null {
    if (element === null) return null;
    this.#mark(element);
    return element.text.trim() || null;
  }

  /** An attribute, which counts as read. */
  attribute(element: XmlElement | null, name: string): string | null {
    if (element === null) return null;
    this.#mark(element).add(name);
    return element.attributes[name] ?? null;
  }

  /** Marks an element as read, and attributes that say nothing about the machine; its children are read separately. */
  skip(element: XmlElement | null, ...attributes: string[]): void {
    if (element === null) return;
    const read = this.#mark(element);
    for (const name of attributes) read.add(name);
  }

  /** Marks an element and everything in it as read, since vring has no use for it. */
  skipAll(element: XmlElement | null): void {
    if (element === null) return;
    this.skip(element, ...Object.keys(element.attributes));
    for (const each of elementsOf(element)) this.skipAll(each);
  }

  /** Leaves an element out of the definition, with the reason. */
  leaveOut(element: XmlElement, reason: string): void {
    this.#read.delete(element);
    this.#reasons.set(element, reason);
  }

  /** What was not read, in the order of the file; unread elements without their contents. */
  leftOut(): LeftOut[] {
    const found: LeftOut[] = [];
    const visit = (element: XmlElement, path: string) => {
      const read = this.#read.get(element);
      const line = this.#lineOf(element);
      if (read === undefined) {
        found.push({ path, line, reason: this.#reasons.get(element) ?? reasonFor(path) });
        return;
      }
      for (const name of Object.keys(element.attributes)) {
        if (!read.has(name) && !name.startsWith('xmlns'))
          found.push({ path: `${path}@${name}`, line, reason: reasonFor(`${path}@${name}`) });
      }
      for (const each of elementsOf(element)) visit(each, `${path}/${each.name}`);
    };
    visit(this.root, this.root.name);
    return found.map(each => ({ ...each, path: printable(each.path) }));
  }

  error(element: XmlElement, message: string): LibvirtError {
    return new LibvirtError(printable(`${this.#file}:${this.#lineOf(element)}: ${message}`));
  }

  #lineOf(element: XmlElement): number {
    let [low, high] = [0, this.#lines.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#lines[middle]! <= element.start) low = middle;
      else high = middle;
    }
    return low + 1;
  }

  #mark(element: XmlElement): Set<string> {
    const read = this.#read.get(element) ?? new Set();
    this.#read.set(element, read);
    return read;
  }
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

function elementsOf(parent: XmlElement | null): XmlElement[] {
  return parent?.children.filter(child => child instanceof XmlElement) ?? [];
}

/** The library's message without the position and excerpt that it appends. */
function reasonOf(error: XmlError): string {
  return error.message.split('\n')[0]!.replace(/ \(line \d+, column \d+\)$/, '');
}
