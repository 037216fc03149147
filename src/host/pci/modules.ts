import type { HostRoot } from '../root.ts';

/** The release of the host's kernel. */
export function kernelRelease(root: HostRoot): string | null {
  return root.attribute('/proc/sys/kernel/osrelease');
}

type Alias = { readonly pattern: string; readonly fields: readonly string[]; readonly module: string };

/** Fields of a PCI modalias: vendor, device, subsystem vendor, subsystem device, class, subclass, interface. */
const modalias = /^v([^s]+?)d([^s]+?)sv(.+?)sd(.+?)bc(.+?)sc(.+?)i(.+)$/;

/** Which kernel modules claim a device, by the aliases that depmod collected and those of built-in drivers. */
export class ModuleAliases {
  readonly #byId = new Map<string, Alias[]>();
  readonly #general: Alias[] = [];
  readonly #known = new Map<string, readonly string[]>();

  /** @param prefix `pci` for host drivers, `vfio_pci` for drivers that only a driver_override selects. */
  constructor(aliases: Iterable<readonly [pattern: string, module: string]>, prefix: 'pci' | 'vfio_pci') {
    for (const [pattern, module] of aliases) {
      if (!pattern.startsWith(`${prefix}:`)) continue;
      const fields = modalias.exec(pattern.slice(prefix.length + 1))?.slice(1);
      if (!fields) continue;
      const [vendor, device] = fields as [string, string];
      const alias = { pattern, fields, module: module.replaceAll('-', '_') };
      if (vendor === '*' || device === '*') this.#general.push(alias);
      else this.#at(vendor + device).push(alias);
    }
  }

  /** Modules for a device's MODALIAS, exact ids before classes. */
  candidates(alias: string): readonly string[] {
    const known = this.#known.get(alias);
    if (known) return known;
    const found = this.#search(alias);
    this.#known.set(alias, found);
    return found;
  }

  #search(alias: string): readonly string[] {
    const fields = modalias.exec(alias.replace(/^pci:/, ''))?.slice(1);
    if (!fields) return [];
    const [vendor, device] = fields as [string, string];
    const matches = [...(this.#byId.get(vendor + device) ?? []), ...this.#general].filter(candidate =>
      candidate.fields.every((field, index) => fieldMatches(field, fields[index]!)),
    );
    return [...new Set(matches.map(match => match.module))];
  }

  #at(key: string): Alias[] {
    let list = this.#byId.get(key);
    if (!list) {
      list = [];
      this.#byId.set(key, list);
    }
    return list;
  }
}

/** A star is a whole field, or ends one: `i02*`. */
function fieldMatches(pattern: string, value: string): boolean {
  return pattern.endsWith('*') ? value.startsWith(pattern.slice(0, -1)) : pattern === value;
}

export type Modules = {
  readonly drivers: ModuleAliases;
  readonly vfioDrivers: ModuleAliases;
  /** Modules compiled into the kernel. */
  readonly builtIn: ReadonlySet<string>;
  /** Modules with a file under /lib/modules. */
  readonly available: ReadonlySet<string>;
};

const opened = new WeakMap<HostRoot, Modules>();

/** depmod's files for the running kernel; empty sets if /lib/modules has none. */
export function modules(root: HostRoot): Modules {
  const known = opened.get(root);
  if (known) return known;
  const directory = `/lib/modules/${kernelRelease(root) ?? 'unknown'}`;
  const limit = 32 << 20;
  const info = root.text(`${directory}/modules.builtin.modinfo`, limit) ?? '';
  const aliases = [
    ...moduleAliasLines(root.text(`${directory}/modules.alias`, limit) ?? ''),
    ...builtInAliases(info),
  ];
  const result: Modules = {
    drivers: new ModuleAliases(aliases, 'pci'),
    vfioDrivers: new ModuleAliases(aliases, 'vfio_pci'),
    builtIn: moduleNames(root.text(`${directory}/modules.builtin`, limit) ?? ''),
    available: moduleNames(root.text(`${directory}/modules.dep`, limit) ?? ''),
  };
  opened.set(root, result);
  return result;
}

/** `alias <pattern> <module>` lines; only PCI ones, since a distribution's file has 30,000 others. */
function* moduleAliasLines(text: string): Generator<readonly [string, string]> {
  for (const match of text.matchAll(/^alias ((?:vfio_)?pci:\S+) (\S+)$/gm)) yield [match[1]!, match[2]!];
}

/** `<module>.alias=<pattern>`, each ended by a NUL. */
function* builtInAliases(text: string): Generator<readonly [string, string]> {
  for (const match of text.matchAll(/(?:^|\0)([\w-]+)\.alias=((?:vfio_)?pci:[^\0]+)/g)) {
    yield [match[2]!, match[1]!];
  }
}

/** Module names of lines that start with a file's path: `kernel/drivers/vfio/pci/vfio-pci.ko.xz: ...`. */
function moduleNames(text: string): Set<string> {
  const names = new Set<string>();
  for (const match of text.matchAll(/^\S*?([^/\s:]+)\.ko(?:\.\w+)?(?::|$)/gm)) {
    names.add(match[1]!.replaceAll('-', '_'));
  }
  return names;
}
