import { splitCommas } from '../../text/commas.ts';
import { likely } from '../../text/nearest.ts';
import { own } from '../../text/own.ts';
import { shown } from '../words.ts';
import { OptionError } from './error.ts';

/** Called with the settings that were left out, and the reason. */
export type OnLeftOut = (setting: string, reason: string) => void;

/** Why a setting is left out; the values that are what vring does are not worth a note. */
export type LeftOutReason = string | { readonly reason: string; readonly unless: readonly string[] };

/** Why settings are left out, by name or by prefix (`x-*`). */
export type LeftOutSettings = Readonly<Record<string, LeftOutReason>>;

/** A setting that vring has, with one of these values. */
export function always(reason: string, ...unless: readonly string[]): LeftOutReason {
  return { reason, unless };
}

/** A setting that vring has, switched off or on. */
export const alwaysOff = (reason: string) => always(reason, 'off', 'no', 'false');
export const alwaysOn = (reason: string) => always(reason, 'on', 'yes', 'true');

const SWITCHES: Readonly<Record<string, boolean>> = {
  on: true,
  yes: true,
  true: true,
  y: true,
  off: false,
  no: false,
  false: false,
  n: false,
};

/** The value of a switch; undefined for any other text. */
export function switchValue(text: string): boolean | undefined {
  return own(SWITCHES, text);
}

/**
 * The value of a QEMU option: `file=disk.img,if=virtio`, with `,,` for a comma in a value, or the same as JSON, whose
 * nested objects become `file.filename=`. Each setting is taken once; of several occurrences, the last counts. Settings
 * that are never taken are unknown to vring.
 */
export class Settings {
  readonly #values = new Map<string, string[]>();
  readonly #taken = new Set<string>();
  readonly #onLeftOut: OnLeftOut;

  /** @param implied the key of a first word that has none: `cpus` for -smp. @throws OptionError */
  constructor(text: string, implied?: string, onLeftOut: OnLeftOut = () => {}) {
    this.#onLeftOut = onLeftOut;
    if (text.trimStart().startsWith('{')) {
      for (const [key, value] of jsonSettings(text)) this.#add(key, value);
      return;
    }
    for (const [index, word] of splitCommas(text).entries()) {
      const at = word.indexOf('=');
      if (at > 0) this.#add(word.slice(0, at), word.slice(at + 1));
      else if (index === 0 && implied !== undefined) this.#add(implied, word);
      // QEMU's short form for a switch.
      else if (/^[A-Za-z]/.test(word)) this.#add(word, 'on');
      // QEMU tolerates a trailing comma.
      else if (word !== '' || index === 0)
        throw new OptionError(`expected settings such as key=value between the commas, not ${shown(word)}`);
    }
  }

  #add(key: string, value: string): void {
    this.#values.set(key, [...(this.#values.get(key) ?? []), value]);
  }

  /**
   * The settings of an object in this one, `file.driver` as `driver`; null if there are none. They count as taken here;
   * end() of the result reports those that are unknown.
   */
  nested(key: string): Settings | null {
    const start = `${key}.`;
    const inside = [...this.#values].filter(([each]) => each.startsWith(start));
    if (inside.length === 0) return null;
    const nested = new Settings('{}', undefined, (setting, reason) =>
      this.#onLeftOut(`${start}${setting}`, reason),
    );
    for (const [each, values] of inside) {
      this.#taken.add(each);
      for (const value of values) nested.#add(each.slice(start.length), value);
    }
    return nested;
  }

  /** Normalizes the names: `kernel_irqchip` to `kernel-irqchip`. */
  rename(name: (key: string) => string): void {
    const before = [...this.#values];
    this.#values.clear();
    for (const [key, values] of before) for (const value of values) this.#add(name(key), value);
  }

  /** The last value. */
  take(key: string): string | undefined {
    return this.takeAll(key).at(-1);
  }

  /** The last value, without taking it. */
  peek(key: string): string | undefined {
    return this.#values.get(key)?.at(-1);
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

  /** @throws OptionError if it is neither on nor off */
  takeSwitch(key: string): boolean | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    const on = switchValue(value);
    if (on !== undefined) return on;
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

  /** A setting that must have one of these values, which is what vring does. @throws OptionError for any other */
  accept(key: string, ...values: readonly string[]): void {
    const value = this.take(key);
    if (value === undefined || values.includes(value)) return;
    throw new OptionError(`vring does not support ${key}=${value}: leave it out`);
  }

  /** A setting that is left out, with the reason, unless it has one of these values, which is what vring does. */
  prefer(key: string, values: readonly string[], reason: string): void {
    for (const value of this.takeAll(key)) {
      if (!values.includes(value)) this.#onLeftOut(`${key}=${value}`, reason);
    }
  }

  /** Settings that change nothing for the guest: they are left out, with the reason. */
  leaveOut(reasons: LeftOutSettings): void {
    for (const key of this.#values.keys()) {
      if (this.#taken.has(key)) continue;
      const reason = own(reasons, key) ?? reasonByStart(reasons, key);
      if (typeof reason === 'string') this.prefer(key, [], reason);
      else if (reason !== undefined) this.prefer(key, reason.unless, reason.reason);
    }
  }

  /** Takes the remaining settings. */
  rest(): [string, string][] {
    const left = [...this.#values].filter(([key]) => !this.#taken.has(key));
    for (const [key] of left) this.#taken.add(key);
    return left.flatMap(([key, values]) => values.map(value => [key, value] as [string, string]));
  }

  /** @param instead what to do instead, by setting. @throws OptionError */
  end(instead: Readonly<Record<string, string>> = {}): void {
    const [key] = [...this.#values.keys()].filter(each => !this.#taken.has(each));
    if (key === undefined) return;
    const known = [...this.#taken];
    const meant = likely(key, known);
    const what = `vring does not support ${shown(key)} here`;
    const advice = own(instead, key);
    if (advice !== undefined) throw new OptionError(`${what}: ${advice}`);
    if (meant !== null) throw new OptionError(`${what}: did you mean "${meant}"?`);
    throw new OptionError(`${what}: expected one of ${known.join(', ')}`);
  }
}

function reasonByStart(reasons: LeftOutSettings, key: string): LeftOutReason | undefined {
  const start = Object.keys(reasons).find(each => each.endsWith('*') && key.startsWith(each.slice(0, -1)));
  return start === undefined ? undefined : reasons[start];
}

/** @throws OptionError */
function jsonSettings(text: string): [string, string][] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new OptionError('it starts with {, but is not valid JSON');
  }
  return flat(value, '', 0);
}

/** No QEMU block device is nested as deeply. */
const maxDepth = 16;

/** @throws OptionError */
function flat(value: unknown, path: string, depth: number): [string, string][] {
  if (depth > maxDepth) throw new OptionError('its JSON is nested too deeply');
  if (value === null) return [];
  if (typeof value !== 'object') {
    return [[path, typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value)]];
  }
  return Object.entries(value).flatMap(([key, each]) =>
    flat(each, path === '' ? key : `${path}.${key}`, depth + 1),
  );
}
