import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import { integer } from '../text.ts';
import { configFiles, configText, fileLines } from './config-files.ts';
import { globMatches } from './glob.ts';

/** systemd.link(5): the first file that matches an interface applies. */
export const linkDirectories = [
  '/etc/systemd/network',
  '/run/systemd/network',
  '/usr/local/lib/systemd/network',
  '/usr/lib/systemd/network',
  '/lib/systemd/network',
];

type Setting = { readonly section: string; readonly key: string; readonly value: string };

export type LinkFile = {
  /** The file, and its drop-ins. */
  readonly files: readonly string[];
  readonly settings: readonly Setting[];
};

/** The number of VFs that an interface of a function gets. */
export type LinkCount = {
  readonly source: string;
  /** Null if not known, because whether `source` matches depends on `condition`. */
  readonly count: number | null;
  readonly condition: string | null;
};

export function readLinkFiles(root: HostRoot): LinkFile[] {
  return configFiles(root, linkDirectories, '.link').map(file => {
    const name = `${file.split('/').at(-1)}.d`;
    const dropIns = configFiles(
      root,
      linkDirectories.map(directory => `${directory}/${name}`),
      '.conf',
    );
    const files = [file, ...dropIns];
    return { files, settings: files.flatMap(each => settingsOf(each, configText(root, each) ?? '')) };
  });
}

function settingsOf(file: string, text: string): Setting[] {
  let section = '';
  return fileLines(file, text).flatMap(({ text: line }) => {
    const heading = /^\[(.*)\]$/.exec(line)?.[1];
    if (heading !== undefined) section = heading;
    const equals = line.indexOf('=');
    if (heading !== undefined || equals < 0) return [];
    return [{ section, key: line.slice(0, equals).trim(), value: line.slice(equals + 1).trim() }];
  });
}

/** Null if no file sets a number for this function. */
export function linkCount(root: HostRoot, fn: PciFunction, files: readonly LinkFile[]): LinkCount | null {
  const interfaces = root.list(`${fn.path}/net`) ?? [];
  const counts = (interfaces.length > 0 ? interfaces : [null]).map(name =>
    interfaceCount(root, fn, name, files),
  );
  return counts.find(count => count !== null) ?? null;
}

/** The count of the first file that matches; not known if an earlier file with another count may match. */
function interfaceCount(
  root: HostRoot,
  fn: PciFunction,
  name: string | null,
  files: readonly LinkFile[],
): LinkCount | null {
  const possible: { readonly source: string; readonly count: number | null; readonly condition: string }[] =
    [];
  let certain: { readonly source: string; readonly count: number } | null = null;
  for (const file of files) {
    const match = matches(root, fn, name, file);
    if (match === 'no') continue;
    const source = file.files.at(-1)!;
    const count = countOf(file);
    if (match !== 'yes') {
      possible.push({ source, count, condition: match.unknown });
      continue;
    }
    if (count !== null) certain = { source, count };
    break;
  }
  const other = possible.find(each => each.count !== (certain?.count ?? null));
  if (other !== undefined) return { source: other.source, count: null, condition: other.condition };
  return certain === null ? null : { ...certain, condition: null };
}

/** `SR-IOVVirtualFunctions=`, or as many as the highest index that an [SR-IOV] section is for. */
function countOf({ settings }: LinkFile): number | null {
  const given = settings.findLast(each => each.section === 'Link' && each.key === 'SR-IOVVirtualFunctions');
  const number = integer(given?.value || null);
  if (number !== null) return number;
  const indexes = settings
    .filter(each => each.section === 'SR-IOV' && each.key === 'VirtualFunction')
    .map(each => integer(each.value) ?? -1);
  return indexes.length === 0 ? null : Math.max(...indexes) + 1;
}

type Match = 'yes' | 'no' | { readonly unknown: string };

/** All settings of [Match] must match; a file without any matches nothing. */
function matches(root: HostRoot, fn: PciFunction, name: string | null, file: LinkFile): Match {
  const keys = Map.groupBy(
    file.settings.filter(each => each.section === 'Match'),
    each => each.key,
  );
  if (keys.size === 0) return 'no';
  let unknown: string | null = null;
  for (const [key, settings] of keys) {
    const given = matchValue(root, fn, name, key);
    if (given === null) {
      unknown ??= `${key}=`;
      continue;
    }
    if (listMatches(settings, given, key)) continue;
    // It may have had another name before it was renamed.
    if (key !== 'OriginalName') return 'no';
    unknown ??= `${key}=`;
  }
  return unknown === null ? 'yes' : { unknown };
}

/** Globs separated by blanks; a leading `!` inverts the whole list. An empty value resets it. */
function listMatches(settings: readonly Setting[], given: string, key: string): boolean {
  const last = settings.findLastIndex(each => each.value === '');
  const text = settings
    .slice(last + 1)
    .map(each => each.value)
    .join(' ');
  const inverse = text.startsWith('!');
  const patterns = text.replace(/^!/, '').split(/\s+/).filter(Boolean);
  const address = key.endsWith('MACAddress');
  const equal = (pattern: string): boolean =>
    address ? pattern.toLowerCase().replaceAll('-', ':') === given : globMatches(pattern, given);
  return patterns.some(equal) !== inverse;
}

/** The value that a setting of [Match] is compared with; null if not known before the boot. */
function matchValue(root: HostRoot, fn: PciFunction, name: string | null, key: string): string | null {
  switch (key) {
    case 'Path':
      return `pci-${fn.address}`;
    case 'Driver':
      return name === null ? null : fn.driver;
    case 'MACAddress':
    case 'PermanentMACAddress':
      return name === null ? null : root.attribute(`${fn.path}/net/${name}/address`);
    case 'Type':
      return 'ether';
    case 'Architecture':
      return 'x86-64';
    case 'OriginalName':
      return name;
    default:
      return null;
  }
}
