import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { imageTable } from '../../../src/commands/image/list.ts';
import type { HostImage } from '../../../src/host-service/images.ts';
import { imageRows } from '../../../src/view/image-rows.ts';
import { defineGuest, definitionFile, vring } from '../../support/cli.ts';
import { withOwnFolders } from '../../support/manager-process.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

withOwnFolders();

test('images are listed without a manager: those of definitions, and others in the same folders', async () => {
  const folder = temporaryFolder();
  const paths = ['disk.img', 'other.raw'].map(name => join(folder, name));
  for (const path of paths) {
    writeFileSync(path, '');
    truncateSync(path, 5 * 2 ** 20);
  }
  expect((await vring('image', 'list')).stdout).toMatch(/^No disk images: no VM has one, nor does /);
  defineGuest('web');
  writeFileSync(definitionFile('web'), `disks: [{file: ${paths[0]}}, {file: ${folder}/gone.img}]\n`, {
    flag: 'a',
  });
  const { stdout, stderr, status } = await vring('image', 'list');
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout.split('\n').map(line => line.replaceAll(/ {2,}/g, '|'))).toEqual([
    'IMAGE|FORMAT|SIZE|ON DISK|SNAPSHOTS|BACKED BY|VMS|FOLDER',
    `disk.img|raw|5M|0|-|-|web (off)|${folder}`,
    `gone.img|bad|-|-|-|-|web (off)|${folder}`,
    `other.raw|raw|5M|0|-|-|-|${folder}`,
  ]);
  const { images } = JSON.parse((await vring('image', 'list', '--json')).stdout);
  expect(images).toHaveLength(3);
  expect(images[0]).toMatchObject({ path: paths[0], format: 'raw', size: 5 * 2 ** 20, definedIn: ['web'] });
  expect(images[1]).toMatchObject({
    format: null,
    vms: ['web (off)'],
    problems: [expect.stringContaining('ENOENT')],
  });
});

test('columns that do not fit the terminal are dropped, as in the UI', () => {
  const image: HostImage = {
    ...{ path: `/srv/${'long'.repeat(20)}.img`, format: 'raw', size: 512, allocated: 512 },
    ...{ isBlockDevice: false, backing: [], snapshots: [], problems: [], details: {} },
    ...{ definedFormat: null, definedIn: [] },
  };
  const found = { images: [image], folder: '/disks', problems: ['the folder /x cannot be read: EACCES'] };
  const lines = imageTable(imageRows(found, []), found, 60);
  expect(lines[0]).toMatch(/^IMAGE +FORMAT +SIZE +ON DISK +BACKED BY +VMS$/);
  expect(lines.slice(0, 2).every(line => line.length <= 60)).toBe(true);
  expect(lines.at(-1)).toBe('the folder /x cannot be read: EACCES');
});
