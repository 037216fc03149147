import type { DiskInput } from '../fields/disks.ts';
import type { NicInput } from '../fields/nics.ts';
import { keyProblems } from '../issues.ts';
import { keyPath } from '../key-path.ts';
import { type Definition, type DefinitionInput, definition } from '../schema.ts';
import type { Drive, QemuHost } from './drives.ts';
import { OptionError, QemuError, type QemuProblem } from './error.ts';

type Network = NonNullable<NicInput['network']>;
/** An entry of a list, and the option that it comes from. */
type From<Entry> = { readonly at: number; readonly option: string; readonly entry: Entry };
/** Something that a -device can refer to by its id. */
type Named<What> = { readonly what: What; readonly option: string; used: boolean };

/** The place of an option on the command line. */
export type Place = { readonly at: number; readonly option: string };

/** What the options have said so far. */
export class Draft {
  readonly host: QemuHost;
  readonly fields: Partial<DefinitionInput> = {};
  /** Options that were given, where one more would be a contradiction. */
  readonly #once = new Set<string>();
  readonly #disks: From<DiskInput>[] = [];
  readonly #nics: From<NicInput>[] = [];
  readonly #passthrough: From<NonNullable<DefinitionInput['passthrough']>[number]>[] = [];
  readonly #devices: From<NonNullable<DefinitionInput['devices']>[number]>[] = [];
  readonly #drives = new Map<string, Named<Drive>>();
  readonly #networks = new Map<string, Named<Network>>();
  readonly #randomSources = new Map<string, Named<null>>();
  readonly #scsiControllers: { readonly id: string | undefined; readonly option: string }[] = [];
  /** -net's cards and connections, which belong together in the order in which they come. */
  readonly legacyNics: From<NicInput>[] = [];
  readonly legacyNetworks: From<Network>[] = [];

  constructor(host: QemuHost) {
    this.host = host;
  }

  /** @throws OptionError when it was given before */
  once(name: string): void {
    if (this.#once.has(name)) throw new OptionError('it is given twice: leave one out');
    this.#once.add(name);
  }

  addDisk(place: Place, entry: DiskInput): void {
    this.#disks.push({ ...place, entry });
  }

  disksOn(bus: string): number {
    return this.#disks.filter(({ entry }) => entry.bus === bus).length;
  }

  addNic(place: Place, entry: NicInput): void {
    this.#nics.push({ ...place, entry });
  }

  addPassthrough(place: Place, entry: NonNullable<DefinitionInput['passthrough']>[number]): void {
    this.#passthrough.push({ ...place, entry });
  }

  addDevice(place: Place, entry: NonNullable<DefinitionInput['devices']>[number]): void {
    this.#devices.push({ ...place, entry });
  }

  addScsiController({ option }: Place, id: string | undefined): void {
    this.#scsiControllers.push({ id, option });
  }

  hasScsiController(bus: string): boolean {
    return this.#scsiControllers.some(({ id }) => id !== undefined && bus === `${id}.0`);
  }

  nameDrive({ option }: Place, drive: Drive): void {
    if (drive.id === undefined) throw new OptionError('a drive with if=none needs an id= for its -device');
    addNamed(this.#drives, drive.id, drive, option);
  }

  nameNetwork({ option }: Place, id: string, network: Network): void {
    addNamed(this.#networks, id, network, option);
  }

  nameRandomSource({ option }: Place, id: string): void {
    addNamed(this.#randomSources, id, null, option);
  }

  /** @throws OptionError */
  claimDrive(id: string): Drive {
    return claim(this.#drives, id, 'drive', '-drive file=...,if=none,id=');
  }

  /** @throws OptionError */
  claimNetwork(id: string): Network {
    return claim(this.#networks, id, 'netdev', '-netdev user,id=');
  }

  /** @throws OptionError */
  claimRandomSource(id: string): void {
    claim(this.#randomSources, id, 'rng', '-object rng-random,id=');
  }

  /** What was given for somebody to use it, and is used by nobody. */
  unused(): QemuProblem[] {
    const problems: QemuProblem[] = [];
    for (const named of [this.#drives, this.#networks, this.#randomSources]) {
      for (const [id, { option, used }] of named) {
        if (!used)
          problems.push({ option, message: `no -device uses ${id}: add one that does, or leave it out` });
      }
    }
    if (this.#scsiControllers.length > 0 && this.disksOn('scsi') === 0) {
      const message = 'it has no disks: add a -device scsi-hd,drive=, or leave it out';
      problems.push({ option: this.#scsiControllers[0]!.option, message });
    }
    return problems;
  }

  /** @param given which options the keys come from. @throws QemuError */
  finish(name: string, given: Readonly<Record<string, string>>): Definition {
    const lists = {
      disks: inOrder(this.#disks),
      nics: inOrder(this.#nics),
      passthrough: inOrder(this.#passthrough),
      devices: inOrder(this.#devices),
    };
    const entries = Object.fromEntries(
      Object.entries(lists).map(([key, list]) => [key, list.map(({ entry }) => entry)]),
    );
    // A machine of QEMU has a device for random bytes only if it is given one.
    const input = { name, rng: false, ...this.fields, ...entries };
    const parsed = definition.safeParse(input, { reportInput: true });
    if (parsed.success) return parsed.data;
    throw new QemuError(
      keyProblems(parsed.error.issues, input).map(({ path, message }) => {
        const [key, index] = path;
        const list = lists[key as keyof typeof lists];
        const option = list?.[Number(index)]?.option ?? given[String(key)] ?? String(key);
        return { option, message: `${keyPath(path)}: ${message}` };
      }),
    );
  }
}

function addNamed<What>(all: Map<string, Named<What>>, id: string, what: What, option: string): void {
  if (all.has(id)) throw new OptionError(`id=${id} is taken: choose another`);
  all.set(id, { what, option, used: false });
}

function claim<What>(all: Map<string, Named<What>>, id: string, property: string, give: string): What {
  const named = all.get(id);
  if (named === undefined)
    throw new OptionError(`${property}=${id}: there is no such one: give it with ${give}${id}`);
  if (named.used) throw new OptionError(`${property}=${id} is used by another -device already`);
  named.used = true;
  return named.what;
}

function inOrder<Entry>(list: readonly From<Entry>[]): From<Entry>[] {
  return list.toSorted((a, b) => a.at - b.at);
}
