import path from 'node:path';
import { bytesOf, sizeText } from '../../text/size.ts';
import type { DefinitionInput } from '../schema.ts';
import { shown } from '../words.ts';
import type { Draft, MemoryBackend, Place } from './draft.ts';
import { OptionError } from './error.ts';
import type { Settings } from './settings.ts';

type MemorySettings = Exclude<NonNullable<DefinitionInput['memory']>, string | number>;

const NO_HOTPLUG = "memory can't be added while the guest runs";
const AS_TOUCHED =
  'guest RAM is taken from the host as the guest touches it; huge pages are reserved at the start';
const PLACED_BY_HOST = 'the host places the memory of a guest';

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

/** A size of an object, whose bare number counts bytes. @throws OptionError */
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
    share: 'vring decides how guest RAM is mapped',
    prealloc: AS_TOUCHED,
    'prealloc-threads': AS_TOUCHED,
    'prealloc-context': AS_TOUCHED,
    reserve: AS_TOUCHED,
    'host-nodes*': PLACED_BY_HOST,
    policy: PLACED_BY_HOST,
    dump: 'guest RAM is never in a core dump',
    'discard-data': 'nothing of guest RAM is kept',
    seal: 'it is a matter of the host',
    align: 'it is a matter of the host',
    'x-*': 'it is a matter of the host',
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

/** Which huge pages a file system has; none when it is no hugetlbfs. @throws OptionError */
function hugepagesAt(draft: Draft, file: string, place: Place): MemoryBackend['hugepages'] {
  const resolved = path.resolve(draft.host.cwd, file);
  const size = draft.host.hugepageSize?.(resolved);
  if (size === undefined) {
    throw new OptionError(`${resolved} is no folder of this host: mount a hugetlbfs there, or leave it out`);
  }
  if (size !== null) return pageSize(size);
  draft.leaveOut(place, 'guest RAM is in no file: only the pages of a hugetlbfs make a difference', resolved);
  return undefined;
}

/** @throws OptionError */
function pageSize(bytes: number): '2M' | '1G' {
  if (bytes === 2 ** 21) return '2M';
  if (bytes === 2 ** 30) return '1G';
  throw new OptionError(`expected huge pages of 2M or 1G, not ${sizeText(bytes)}`);
}

/** -numa. @throws OptionError */
export function readNuma(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'type');
  const type = settings.require('type');
  if (type === 'dist') {
    for (const key of ['src', 'dst', 'val']) settings.take(key);
    settings.end();
    draft.leaveOut(place, 'a guest has one NUMA node, at no distance');
    return;
  }
  if (type === 'cpu') {
    settings.prefer('node-id', ['0'], 'a guest has one NUMA node');
    for (const key of ['socket-id', 'core-id', 'thread-id', 'die-id']) settings.take(key);
    settings.end();
    return;
  }
  if (type !== 'node') throw new OptionError(`vring has no -numa ${shown(type)}: leave it out`);
  const node = settings.take('nodeid');
  if (node !== undefined && !/^\d{1,3}$/.test(node))
    throw new OptionError(`expected a number, not ${shown(node)}`);
  draft.numaNodes.push({ ...place, cpus: settings.takeAll('cpus') });
  const memory = settings.take('mem');
  if (memory !== undefined) sizeOf(memory);
  const backend = settings.take('memdev');
  settings.leaveOut({ initiator: 'a guest has one NUMA node' });
  settings.end();
  if (backend !== undefined) draft.memoryPlaces.push({ ...place, backend });
}

/**
 * What -machine memory-backend=, -numa memdev= and -mem-path make of guest RAM. All of it has pages of one kind.
 * @throws OptionError naming the option in `place`
 */
export function placeMemory(draft: Draft, problem: (place: Place, error: OptionError) => void): void {
  if (draft.numaNodes.length > 1) {
    problem(
      draft.numaNodes[1]!,
      new OptionError('a guest has one NUMA node in this version: leave the -numa options out'),
    );
    return;
  }
  const backends: MemoryBackend[] = [];
  for (const place of draft.memoryPlaces) {
    try {
      if ('backend' in place) backends.push(draft.claimMemory(place.backend));
      else {
        const hugepages = hugepagesAt(draft, place.path, place);
        if (hugepages !== undefined) setMemory(draft, { hugepages });
      }
    } catch (error) {
      if (!(error instanceof OptionError)) throw error;
      problem(place, error);
    }
  }
  const [backend] = backends;
  if (backend === undefined) return;
  const { hugepages, mergeable } = backend;
  const size = (draft.fields.memory as MemorySettings | undefined)?.size ?? sizeText(backend.bytes);
  setMemory(draft, { size, ...(hugepages && { hugepages }), ...(mergeable && { mergeable }) });
  if (bytesOf(String(size)) !== backend.bytes) {
    problem(
      draft.memoryPlaces[0]!,
      new OptionError(
        `its memory has ${sizeText(backend.bytes)}, and -m says ${size}: give both the same size`,
      ),
    );
  }
}
