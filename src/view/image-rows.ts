import { basename, dirname } from 'node:path';
import { isFolder } from '../devices/backends/disk.ts';
import { isAlive, type VmInfo } from '../engine/vm-info.ts';
import type { HostImage, HostImages } from '../host-service/images.ts';
import { filterOf } from '../store/list-slice.ts';
import { bytes } from '../text/units.ts';
import { type Fact, fact } from './facts.ts';
import type { ListColumn } from './list-columns.ts';
import { rowOfCursor, shownRows } from './list-rows.ts';
import { memoized } from './memoized.ts';

/** A disk image, with its users. */
export type ImageRow = {
  /** Its path. */
  readonly key: string;
  readonly image: HostImage;
  /** VMs that use it, or an image that it backs; `(off)` after those that will. */
  readonly vms: readonly string[];
  /** Of these, the ones that run. */
  readonly runningVms: readonly string[];
  /** The images that it backs. */
  readonly backs: readonly string[];
};

type ImageColumn = ListColumn<ImageRow>;

export const IMAGE_COLUMNS: readonly ImageColumn[] = [
  {
    key: 'name',
    names: ['image', 'file'],
    title: 'IMAGE',
    min: 14,
    ideal: 30,
    cut: 'middle',
    letter: 'n',
    cell: ({ image }) => basename(image.path),
    value: ({ image }) => basename(image.path),
  },
  {
    key: 'format',
    title: 'FORMAT',
    min: 6,
    letter: 'f',
    cell: ({ image: { format, problems } }) =>
      problems.length > 0 ? { text: format ?? 'bad', token: 'status.error' } : (format ?? '-'),
    value: ({ image }) => image.format,
  },
  {
    key: 'size',
    title: 'SIZE',
    min: 6,
    align: 'right',
    letter: 's',
    unit: 'bytes',
    cell: ({ image: { size } }) => (size === null ? '-' : bytes(size)),
    value: ({ image }) => image.size,
  },
  {
    key: 'disk',
    names: ['on', 'allocated'],
    title: 'ON DISK',
    min: 7,
    align: 'right',
    letter: 'd',
    unit: 'bytes',
    cell: ({ image: { format, allocated } }) => (format === null ? '-' : bytes(allocated)),
    value: ({ image }) => (image.format === null ? null : image.allocated),
  },
  {
    key: 'snapshots',
    title: 'SNAPSHOTS',
    min: 9,
    align: 'right',
    letter: 't',
    priority: 2,
    unit: 'count',
    cell: ({ image: { snapshots } }) => (snapshots.length === 0 ? '-' : String(snapshots.length)),
    value: ({ image }) => image.snapshots.length,
  },
  {
    key: 'backing',
    names: ['backed'],
    title: 'BACKED BY',
    min: 12,
    ideal: 20,
    cut: 'middle',
    letter: 'b',
    priority: 1,
    cell: ({ image: { backing } }) => (backing[0] === undefined ? '-' : basename(backing[0].path)),
    value: ({ image }) => image.backing[0]?.path ?? null,
  },
  {
    key: 'vms',
    names: ['vm', 'used'],
    title: 'VMS',
    min: 10,
    grow: 1,
    letter: 'v',
    cell: ({ vms }) => vms.join(', ') || '-',
    value: ({ vms }) => vms.length,
  },
  {
    key: 'folder',
    names: ['path'],
    title: 'FOLDER',
    min: 21,
    ideal: 32,
    cut: 'middle',
    letter: 'l',
    priority: 3,
    cell: ({ image }) => dirname(image.path),
    value: ({ image }) => dirname(image.path),
  },
];

/** The disk files that a running VM uses; a disk made of a folder has none. */
function filesOf({ topology }: VmInfo): string[] {
  return (topology?.devices ?? [])
    .filter(({ backend }) => backend === 'disk')
    .flatMap(({ facts }) => {
      const value = (wanted: string) => facts.find(({ label }) => label === wanted)?.value;
      const path = value('path');
      return typeof path === 'string' && path.startsWith('/') && !isFolder(value('format')) ? [path] : [];
    });
}

/** The disks of all running VMs, with or without a definition. */
export function imageFilesOf(vms: readonly VmInfo[]): string[] {
  return [...new Set(vms.filter(isAlive).flatMap(filesOf))];
}

/** What to show in place of a list without images. */
export function noImagesText({ folder, problems }: HostImages): string {
  return [`No disk images: no VM has one, nor does ${folder}`, ...problems].join('; ');
}

/** All rows, unfiltered. */
export function imageRows({ images }: HostImages, vms: readonly VmInfo[]): ImageRow[] {
  const backs = new Map<string, string[]>();
  for (const { path, backing } of images)
    for (const below of backing) backs.set(below.path, [...(backs.get(below.path) ?? []), path]);
  const running = vms.filter(isAlive).map(vm => ({ name: vm.name, files: new Set(filesOf(vm)) }));
  const alive = new Set(running.map(({ name }) => name));
  const defined = new Map(images.map(({ path, definedIn }) => [path, definedIn] as const));
  return images.map(image => {
    const { path } = image;
    const above = backs.get(path) ?? [];
    const all = [path, ...above];
    const has = running.filter(({ files }) => all.some(each => files.has(each))).map(({ name }) => name);
    const off = all.flatMap(each => defined.get(each) ?? []).filter(name => !alive.has(name));
    return {
      key: path,
      image,
      vms: [...has, ...[...new Set(off)].map(name => `${name} (off)`)],
      runningVms: has,
      backs: above,
    };
  });
}

/** All facts about an image, including its chain and its snapshots. */
export function imageFacts({ image, vms, backs }: ImageRow): Fact[] {
  const { path, format, size, allocated, isBlockDevice, backing, snapshots, problems, details } = image;
  const { version, clusterSize, compression } = details;
  const header =
    clusterSize === undefined
      ? ''
      : ` version ${version}, clusters of ${bytes(Number(clusterSize))}, ${compression}`;
  const list = (name: string, texts: readonly string[]): Fact[] =>
    texts.length === 0 ? [] : [{ name, texts }];
  return [
    ...problems.map(problem => fact('Problem', problem, 'status.error')),
    fact('Path', path),
    ...(format === null
      ? []
      : [
          fact('Format', `${format}${header}${isBlockDevice ? ', a block device' : ''}`),
          fact(
            'Size',
            `${size === null ? 'not known' : `${bytes(size)} (${size} bytes)`}; ${bytes(allocated)} on disk`,
          ),
        ]),
    ...list(
      'Backed by',
      backing.map(below => `${below.path} (${below.format ?? 'format not given'})`),
    ),
    ...list('Backs', backs),
    fact('VMs', vms.join(', ') || 'none'),
    ...list(
      'Snapshots',
      snapshots.map(({ name, seconds, vmStateBytes }) => {
        const state = vmStateBytes === 0 ? '' : `, VM state ${bytes(vmStateBytes)}`;
        return `${name} ${new Date(seconds * 1000).toISOString().slice(0, 19)}Z${state}`;
      }),
    ),
  ];
}

/** Creates the selectors of one store; each caches its last result. */
export function createImageSelectors() {
  const allImages = memoized(
    state => [state.images, state.infos] as const,
    (images, infos): readonly ImageRow[] => (images === null ? [] : imageRows(images, Object.values(infos))),
  );

  const visibleImages = memoized(
    state => [allImages(state), filterOf(state, 'images'), state.sorts.images] as const,
    (rows, filter, sort) => shownRows(rows, IMAGE_COLUMNS, filter, sort),
  );
  const imageRow = memoized(
    state => [visibleImages(state), state.imageCursor] as const,
    (rows, cursor) => rowOfCursor(rows, cursor),
  );
  return { allImages, visibleImages, imageRow };
}
