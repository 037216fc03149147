import { likely } from '../../text/nearest.ts';
import { own } from '../own.ts';
import { shown } from '../words.ts';
import { OptionError } from './error.ts';

/**
 * The value of one of QEMU's options: `file=disk.img,if=virtio`, with `,,` for a comma in a value. Each setting is taken once;
 * what nobody took, vring does not have.
 */
export class Settings {
  readonly #values = new Map<string, string[]>();
  readonly #taken = new Set<string>();

  /** @param implied the key of a first word without one: `cpus` for -smp. @throws OptionError */
  constructor(text: string, implied?: string) {
    for (const [index, word] of splitCommas(text).entries()) {
      const at = word.indexOf('=');
      if (at > 0) this.#add(word.slice(0, at), word.slice(at + 1));
      else if (index === 0 && implied !== undefined) this.#add(implied, word);
      // QEMU's short form of a switch.
      else if (/^[A-Za-z]/.test(word)) this.#add(word, 'on');
      else
        throw new OptionError(`expected settings such as key=value between the commas, not ${shown(word)}`);
    }
  }

  #add(key: string, value: string): void {
    this.#values.set(key, [...(this.#values.get(key) ?? []), value]);
  }

  /** @throws OptionError when it is given twice */
  take(key: string): string | undefined {
    const values = this.takeAll(key);
    if (values.length > 1) throw new OptionError(`${key} is given twice`);
    return values[0];
  }

  takeAll(key: string): readonly string[] {
    this.#taken.add(key);
    return this.#values.get(key) ?? [];
  }

  /** @throws OptionError */
  require(key: string): string {
    const value = this.take(key);
    if (value) return value;
    throw new OptionError(`${key} is missing`);
  }

  /** @throws OptionError when it is neither on nor off */
  takeSwitch(key: string): boolean | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    if (value === 'on' || value === 'off') return value === 'on';
    throw new OptionError(`${key} takes on or off, not ${shown(value)}`);
  }

  /** One of `values`. @throws OptionError */
  takeOne<const Value extends string>(key: string, values: readonly Value[]): Value | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    if ((values as readonly string[]).includes(value)) return value as Value;
    throw new OptionError(`${key} takes ${values.join(', ')}, not ${shown(value)}`);
  }

  /** A whole number above zero. @throws OptionError */
  takeCount(key: string): number | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    if (/^[1-9]\d{0,8}$/.test(value)) return Number(value);
    throw new OptionError(`${key} takes a whole number, not ${shown(value)}`);
  }

  /** A setting that says what vring does anyway. @throws OptionError when it says something else */
  accept(key: string, ...values: readonly string[]): void {
    const value = this.take(key);
    if (value === undefined || values.includes(value)) return;
    throw new OptionError(`vring does not have ${key}=${value}: leave it out`);
  }

  /** What nobody took, to be taken. */
  rest(): [string, string][] {
    const left = [...this.#values].filter(([key]) => !this.#taken.has(key));
    for (const [key] of left) this.#taken.add(key);
    return left.flatMap(([key, values]) => values.map(value => [key, value] as [string, string]));
  }

  /** @param instead what to do rather than give a setting that vring does not have. @throws OptionError */
  end(instead: Readonly<Record<string, string>> = {}): void {
    const [key] = [...this.#values.keys()].filter(each => !this.#taken.has(each));
    if (key === undefined) return;
    const known = [...this.#taken];
    const meant = likely(key, known);
    const what = `vring does not have ${shown(key)} here`;
    const advice = own(instead, key);
    if (advice !== undefined) throw new OptionError(`${what}: ${advice}`);
    if (meant !== null) throw new OptionError(`${what}: did you mean "${meant}"?`);
    throw new OptionError(`${what}: there are ${known.join(', ')}`);
  }
}

/** Splits at single commas; of a row of them, each pair is a comma of the value. */
function splitCommas(text: string): string[] {
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
