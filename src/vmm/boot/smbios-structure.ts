import { concat, little } from '../../devices/acpi/aml.ts';

/** The strings of a structure, which its fields refer to by number (DSP0134 §6.1.3). */
export class Strings {
  readonly #texts: string[] = [];

  /** @returns the number of the string; 0 if there is none */
  add(text: string | undefined): number {
    if (text === undefined) return 0;
    const index = this.#texts.indexOf(text);
    return index < 0 ? this.#texts.push(text) : index + 1;
  }

  append(text: string): void {
    this.#texts.push(text);
  }

  get bytes(): Uint8Array {
    if (this.#texts.length === 0) return Uint8Array.of(0);
    return Buffer.from(this.#texts.map(text => `${text}\0`).join(''), 'utf8');
  }
}

/** A structure: type, length, handle, the body that `fields` returns, then its strings (§6.1). */
export function structure(
  type: number,
  handle: number,
  fields: (strings: Strings) => readonly (Uint8Array | readonly number[])[],
): Uint8Array {
  const strings = new Strings();
  const formatted = concat(...fields(strings));
  return concat([type, formatted.length + 4], little(handle, 2), formatted, strings.bytes, [0]);
}

/** The first three fields are little endian (§7.2.1). */
export function uuidBytes(uuid: string): Uint8Array {
  const bytes = Buffer.from(uuid.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}
