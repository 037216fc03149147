import path from 'node:path';
import { bytesOf, sizeText } from '../../text/size.ts';
import type { DefinitionInput } from '../schema.ts';
import { shown } from '../words.ts';
import type { Draft, MemoryBackend, Place } from './draft.ts';
import { OptionError } from './error.ts';
import type { QemuHost } from './host.ts';
import { always, alwaysOff, type Settings } from './settings.ts';

type MemorySettings = Exclude<NonNullable<DefinitionInput['memory']>, string | number>;

const NO_HOTPLUG = 'memory cannot be added while the guest runs';
const AS_TOUCHED =
  'guest RAM is allocated when the guest first uses it; huge pages are reserved at the start';
const PLACED_BY_HOST = 'the host places guest memory';

/** -m. @throws OptionError */
export function readMemory(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'size');
  const size = settings.take('size');
  settings.leaveOut({ slots: NO_HOTPLUG, maxmem: NO_HOTPLUG });
  settings.end();
  if (size !== undefined) setMemory(draft, { size: sizeText(sizeOf(size)) });
}

export function setMemory(draft: Draft, more: MemorySettings): void {
  draft.fields.memory = { ...(draft.fields.memory as MemorySettings | undefined), ...more };
}

/** @throws OptionError */
function sizeOf(size: string): number {
  const bytes = bytesOf(size);
  if (bytes !== null) return bytes;
  throw new OptionError(`expected a size such as 512M or 2G, not ${shown(size)}`);
}

/** A size of an object; a bare number is in bytes. @throws OptionError */
function bytesIn(size: string): number {
  return /^\d{1,15}$/.test(size) ? Number(size) : sizeOf(size);
}

/** -object memory-backend-ram, -memfd and -file. @throws OptionError */
export function readMemoryBackend(draft: Draft, type: string, settings: Settings, place: Place): void {
  const id = settings.require('id');
  const bytes = bytesIn(settings.require('size'));
  const mergeable = settings.takeSwitch('merge') ?? false;
  const file = settings.take('mem-path');
  if (type === 'memory-backend-file' && file === undefined) throw new OptionError('mem-path is missing');
  const hugetlb = settings.takeSwitch('hugetlb') ?? false;
  const hugepage = settings.take('hugetlbsize');
  settings.leaveOut({
    share: 'vring chooses how guest RAM is mapped',
    prealloc: alwaysOff(AS_TOUCHED),
    'prealloc-threads': AS_TOUCHED,
    'prealloc-context': AS_TOUCHED,
    reserve: AS_TOUCHED,
    'host-nodes*': PLACED_BY_HOST,
    policy: always(PLACED_BY_HOST, 'default'),
    dump: 'core dumps never contain guest RAM',
    'discard-data': 'guest RAM is never kept',
    seal: 'it only concerns the host',
    align: 'it only concerns the host',
    'x-*': 'it only concerns the host',
  });
  settings.end();
  const hugepages =
    file !== undefined
      ? hugepagesAt(draft, file, place)
      : hugetlb
        ? pageSize(hugepage === undefined ? 2 ** 21 : bytesIn(hugepage))
        : undefined;
  draft.nameMemory(place, id, { bytes, hugepages, mergeable });
}

/** The huge page size of a file system; undefined unless it is a hugetlbfs. @throws OptionError */
function hugepagesAt(draft: Draft, file: string, place: Place): MemoryBackend['hugepages'] {
  const resolved = path.resolve(draft.host.cwd, file);
  const size = pagesAt(draft.host, resolved);
  if (size === undefined) {
    throw new OptionError(
      `${resolved} does not exist on this host: mount a hugetlbfs there, or leave it out`,
    );
  }
  if (size !== null) return pageSize(size);
  draft.leaveOut(place, 'guest RAM is not kept in a file; only a hugetlbfs makes a difference', resolved);
  return undefined;
}

/**
 * The page size where a file is, or will be created: null outside of a hugetlbfs, undefined if there is no such place.
 */
function pagesAt({ hugepageSize }: QemuHost, file: string): number | null | undefined {
  const parent = path.dirname(file);
  let at = file;
  while (hugepageSize?.(at) === undefined && at !== path.dirname(at)) at = path.dirname(at);
  const size = hugepageSize?.(at);
  const isPlace = at === file || (at === parent && parent !== '/' && parent !== '/dev');
  return typeof size === 'number' || isPlace ? size : undefined;
}

/** @throws OptionError */
function pageSize(bytes: number): '2M' | '1G' {
  if (bytes === 2 ** 21) return '2M';
  if (bytes === 2 ** 30) return '1G';
  throw new OptionError(`expected huge pages of 2M or 1G, not ${sizeText(bytes)}`);
}

/**
 * Applies -machine memory-backend=, -numa memdev= and -mem-path to guest RAM. All of it has the same page size.
 * @param problem called for each wrong option
 */
export function placeMemory(draft: Draft, problem: (place: Place, error: OptionError) => void): void {
  const backends: MemoryBackend[] = [];
  for (const place of draft.memoryPlaces) {
    try {
      if ('backend' in place) {
        const backend = draft.claimMemory(place.backend);
        place.placed?.(backend.bytes);
        backends.push(backend);
      } else {
        const hugepages = hugepagesAt(draft, place.path, place);
        if (hugepages !== undefined) setMemory(draft, { hugepages });
      }
    } catch (error) {
      if (!(error instanceof OptionError)) throw error;
      problem(place, error);
    }
  }
  const [first] = backends;
  if (first === undefined) return;
  const place = draft.memoryPlaces[0]!;
  if (backends.some(({ hugepages }) => hugepages !== first.hugepages)) {
    problem(place, new OptionError('all of guest RAM has one page size: give every memory backend the same'));
    return;
  }
  const bytes = backends.reduce((sum, backend) => sum + backend.bytes, 0);
  const size = memoryOf(draft)?.size ?? sizeText(bytes);
  const mergeable = backends.some(backend => backend.mergeable);
  setMemory(draft, {
    size,
    ...(first.hugepages && { hugepages: first.hugepages }),
    ...(mergeable && { mergeable }),
  });
  if (bytesOf(String(size)) !== bytes) {
    problem(place, new OptionError(`its size is ${sizeText(bytes)}, but -m says ${size}: make them equal`));
  }
}

export function memoryOf(draft: Draft): MemorySettings | undefined {
  return draft.fields.memory as MemorySettings | undefined;
}
