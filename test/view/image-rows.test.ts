import { expect, test } from 'vitest';
import type { VmInfo } from '../../src/engine/vm-info.ts';
import type { HostImage } from '../../src/host-service/images.ts';
import { imageFacts, imageFilesOf, imageRows } from '../../src/view/image-rows.ts';

function image(path: string, change: Partial<HostImage> = {}): HostImage {
  return {
    ...{ path, format: 'qcow2', size: 2 ** 30, allocated: 2 ** 20, isBlockDevice: false, backing: [] },
    ...{ snapshots: [], problems: [], details: {}, definedFormat: null, definedIn: [] },
    ...change,
  };
}

function vm(name: string, state: VmInfo['state'], ...paths: string[]): VmInfo {
  const devices = paths.map((value, index) => ({
    ...{ name: `blk${index}`, backend: 'disk', facts: [{ label: 'path', value }] },
  }));
  return { name, state, topology: { devices } } as unknown as VmInfo;
}

const rowsOf = (images: readonly HostImage[], vms: readonly VmInfo[]) =>
  new Map(imageRows({ images, folder: '/disks', problems: [] }, vms).map(row => [row.key, row]));

const below = (path: string) => ({ path, format: 'qcow2' });

test('an image is used by the VMs that have it, and by those with images that it backs, at any depth', () => {
  const images = [
    image('/base'),
    image('/middle', { backing: [below('/base')] }),
    image('/top', { backing: [below('/middle'), below('/base')] }),
    image('/other'),
  ];
  const rows = rowsOf(images, [vm('web', 'running', '/top'), vm('db', 'paused', '/middle')]);
  expect(rows.get('/base')).toMatchObject({ vms: ['web', 'db'], backs: ['/middle', '/top'] });
  expect(rows.get('/middle')).toMatchObject({ vms: ['web', 'db'], backs: ['/top'] });
  expect(rows.get('/top')).toMatchObject({ vms: ['web'], backs: [] });
  expect(rows.get('/other')).toMatchObject({ vms: [], backs: [] });
});

test('a running VM has the disks that it was started with, whatever its definition says now', () => {
  const images = [image('/old'), image('/new', { definedIn: ['web', 'db'] })];
  const rows = rowsOf(images, [vm('web', 'running', '/old'), vm('db', 'off', '/old')]);
  expect(rows.get('/old')!.vms).toEqual(['web']);
  expect(rows.get('/new')!.vms).toEqual(['db (off)']);
});

test('the files of running VMs are read, with or without a definition; an empty drive has none', () => {
  expect(
    imageFilesOf([
      vm('web', 'running', '/a', 'empty'),
      vm('db', 'stuck', '/a', '/b'),
      vm('off', 'off', '/c'),
    ]),
  ).toEqual(['/a', '/b']);
});

test('the folder of a disk is not an image', () => {
  const facts = [
    { label: 'path', value: '/files' },
    { label: 'format', value: 'fat32' },
  ];
  const topology = { devices: [{ name: 'blk0', backend: 'disk', facts }] };
  expect(imageFilesOf([{ name: 'web', state: 'running', topology } as unknown as VmInfo])).toEqual([]);
});

test('problems come first, and unreadable properties are omitted', () => {
  const [row] = imageRows(
    {
      images: [image('/gone', { format: null, size: null, allocated: 0, problems: ['it is gone'] })],
      ...{ folder: '/disks', problems: [] },
    },
    [],
  );
  expect(imageFacts(row!)).toEqual([
    { name: 'Problem', texts: ['it is gone'], token: 'status.error' },
    { name: 'Path', texts: ['/gone'] },
    { name: 'VMs', texts: ['none'] },
  ]);
});

test('the chain is listed from the next file on, and an unknown size as unknown', () => {
  const [row] = imageRows(
    {
      images: [image('/top', { size: null, backing: [below('/middle'), { path: '/base', format: null }] })],
      ...{ folder: '/disks', problems: [] },
    },
    [],
  );
  expect(imageFacts(row!)).toEqual(
    expect.arrayContaining([
      { name: 'Size', texts: ['not known; 1M on disk'] },
      { name: 'Backed by', texts: ['/middle (qcow2)', '/base (format not given)'] },
    ]),
  );
});
