import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { thisHost } from '../../../src/definitions/qemu/host.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { elfImage, multibootHeader, pvhNote } from '../../vmm/boot/images.ts';

const { isMultiboot, hugepageSize } = thisHost();

test('a kernel accepts modules if it uses the multiboot protocol', () => {
  const folder = temporaryFolder();
  const file = (name: string, bytes: Uint8Array) => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };
  const content = multibootHeader(3);
  expect(isMultiboot!(file('multiboot', elfImage({ segments: [{ content }] })))).toBe(true);
  expect(isMultiboot!(file('pvh', elfImage({ segments: [{ content }, pvhNote(0x10_0000)] })))).toBe(false);
  expect(isMultiboot!(file('text', Buffer.from('hello')))).toBe(false);
  expect(isMultiboot!(join(folder, 'missing'))).toBe(false);
});

test('a folder outside a hugetlbfs has no huge pages, and a missing one is unknown', () => {
  expect(hugepageSize!(temporaryFolder())).toBeNull();
  expect(hugepageSize!('/no/such/folder')).toBeUndefined();
});
