import { parseXml, XmlElement, XmlError } from '@rgrove/parse-xml';
import { printable } from '../../text/printable.ts';

/** Domains of libvirt have a few KiB. */
export const MAX_DOMAIN_BYTES = 2 ** 20;

/** A text that is no libvirt domain; the message names file, line and reason. */
export class LibvirtError extends Error {
  override readonly name = 'LibvirtError';
}

/** An element, or an attribute, that did not become a part of the definition. */
export type LeftOut = {
  /** `domain/devices/graphics`, `domain/os/boot@dev`. */
  readonly path: string;
  readonly line: number;
  /** Why, where there is more to say than that vring has no such thing. */
  readonly reason: string | null;
};

/** The XML of a domain, and which of its elements and attributes have been read. */
export class DomainDocument {
  readonly root: XmlElement;
  readonly #text: string;
  readonly #file: string;
  readonly #read = new Map<XmlElement, Set<string>>();
  readonly #reasons = new Map<XmlElement, string>();

  /** Entities beyond XML's own five are an error: none is ever resolved. @throws LibvirtError */
  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
    if (Buffer.byteLength(text) > MAX_DOMAIN_BYTES)
      throw new LibvirtError(`${file}: expected at most 1 MiB for a domain`);
    try {
      this.root = parseXml(text, { includeOffsets: true }).root as XmlElement;
    } catch (error) {
      if (error instanceof RangeError) throw new LibvirtError(`${file}: its elements are nested too deep`);
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

  /** The text in an element, which counts as read; null when there is no element or no text. */
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

  /** An element whose parts are read one by one, and attributes of it that say nothing about the machine. */
  skip(element: XmlElement | null, ...attributes: string[]): void {
    if (element === null) return;
    const read = this.#mark(element);
    for (const name of attributes) read.add(name);
  }

  /** An element that is meaningless to vring, with all in it. */
  skipAll(element: XmlElement | null): void {
    if (element === null) return;
    this.skip(element, ...Object.keys(element.attributes));
    for (const each of elementsOf(element)) this.skipAll(each);
  }

  /** Says that an element does not become a part of the definition, and why. */
  leaveOut(element: XmlElement, reason: string): void {
    this.#read.delete(element);
    this.#reasons.set(element, reason);
  }

  /** What was not read, in the order of the file; of an element that was not, nothing below. */
  leftOut(): LeftOut[] {
    const found: LeftOut[] = [];
    const visit = (element: XmlElement, path: string) => {
      const read = this.#read.get(element);
      const line = this.#lineOf(element);
      if (read === undefined) {
        found.push({ path, line, reason: this.#reasons.get(element) ?? null });
        return;
      }
      for (const name of Object.keys(element.attributes)) {
        if (!read.has(name) && !name.startsWith('xmlns'))
          found.push({ path: `${path}@${name}`, line, reason: null });
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
    return this.#text.slice(0, element.start).split('\n').length;
  }

  #mark(element: XmlElement): Set<string> {
    const read = this.#read.get(element) ?? new Set();
    this.#read.set(element, read);
    return read;
  }
}

function elementsOf(parent: XmlElement | null): XmlElement[] {
  return parent?.children.filter(child => child instanceof XmlElement) ?? [];
}

/** The library's message without the place and the excerpt that it appends. */
function reasonOf(error: XmlError): string {
  return error.message.split('\n')[0]!.replace(/ \(line \d+, column \d+\)$/, '');
}
