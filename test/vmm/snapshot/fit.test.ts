import { describe, expect, it } from 'vitest';
import { fitOf } from '../../../src/vmm/snapshot/fit.ts';
import { identityWith, manifestWith, surroundingsWith } from './manifests.ts';

const RAM_BYTES = 64 * 2 ** 20;

describe('the fit of a snapshot', () => {
  it('is accepted if nothing has changed', () => {
    expect(fitOf(manifestWith(), surroundingsWith())).toEqual({ problems: [], doubtful: [] });
  });

  it.each([
    ['a missing file', { ram: null }, 'ram is missing'],
    ['missing checksums', { ramSums: null }, 'ram.sums is missing'],
    [
      'a truncated file',
      { ram: identityWith({ size: 4096 }) },
      'ram is truncated: it has 4096 of 67108864 bytes',
    ],
    [
      'a longer state',
      { state: identityWith({ size: 101 }) },
      'state has 101 bytes, and was written with 100',
    ],
    [
      'a kernel that is gone',
      { exists: (path: string) => path !== '/boot/initrd' },
      '/boot/initrd does not exist, which its guest boots from after a reset',
    ],
    [
      'a CPU with fewer features',
      { cpu: { vendor: 'GenuineIntel', features: ['sse2'] } },
      "this host's CPU lacks avx, which its guest uses",
    ],
    [
      "another vendor's CPU",
      { cpu: { vendor: 'AuthenticAMD', features: ['sse2', 'avx'] } },
      'its guest runs on a CPU of GenuineIntel, and this host has one of AuthenticAMD',
    ],
    ['a disk that is gone', { disk: () => null }, 'its disk /images/web.img does not exist'],
    [
      'a disk of another size',
      { disk: () => identityWith({ size: 200 }) },
      'its disk /images/web.img has 200 bytes now, and had 100',
    ],
    [
      'another file in the place of a disk',
      { disk: () => identityWith({ ino: '8' }) },
      'its disk /images/web.img was replaced by another file since',
    ],
    [
      'a disk that was written since',
      { disk: () => identityWith({ mtime: '1700000001000000000' }) },
      'its disk /images/web.img was written since, at 2023-11-14T22:13:21.000Z',
    ],
  ])('names %s', (_, change, problem) => {
    expect(fitOf(manifestWith(), surroundingsWith(change)).problems).toEqual([problem]);
  });

  it('names a missing or modified backing file of a disk or its copy', () => {
    const backing = [
      { path: '/images/top.qcow2', identity: identityWith() },
      { path: '/images/base.img', identity: identityWith({ size: 50 }) },
    ];
    const copy = { file: 'disks/0.img', identity: identityWith(), sums: null };
    const [disk] = manifestWith().disks;
    const files = new Map([
      ['/images/web.img', identityWith()],
      ['/images/top.qcow2', identityWith({ ino: '9' })],
      ['/images/base.img', identityWith({ size: 50 })],
    ]);
    const here = surroundingsWith({ disk: path => files.get(path) ?? null });
    for (const manifest of [
      manifestWith({ disks: [{ ...disk!, backing }] }),
      manifestWith({ disks: [{ ...disk!, backing, copy }] }),
    ]) {
      files.set('/images/base.img', identityWith({ size: 50 }));
      expect(fitOf(manifest, here).problems).toEqual([]);
      files.set('/images/base.img', identityWith({ size: 50, mtime: '1700000001000000000' }));
      expect(fitOf(manifest, here).problems).toEqual([
        '/images/base.img, which backs its disk /images/web.img, was written since, at 2023-11-14T22:13:21.000Z',
      ]);
      files.set('/images/base.img', identityWith({ size: 60 }));
      expect(fitOf(manifest, here).problems).toEqual([
        '/images/base.img, which backs its disk /images/web.img, has 60 bytes now, and had 50',
      ]);
      files.delete('/images/base.img');
      expect(fitOf(manifest, here).problems).toEqual([
        '/images/base.img, which backs its disk /images/web.img, does not exist',
      ]);
    }
  });

  it('does not check the CPU on a host without KVM', () => {
    expect(fitOf(manifestWith(), surroundingsWith({ cpu: null })).problems).toEqual([]);
  });

  it('verifies the checksums of RAM that was copied or touched', () => {
    for (const change of [{ ino: '8' }, { ctime: '1700000000000000002' }]) {
      const here = surroundingsWith({ ram: identityWith({ size: RAM_BYTES, ...change }) });
      expect(fitOf(manifestWith(), here)).toEqual({ problems: [], doubtful: ['ram'] });
    }
  });

  it('ignores modification times of read-only disks and block devices', () => {
    const [disk] = manifestWith().disks;
    const here = surroundingsWith({ disk: () => identityWith({ mtime: '0', ino: '9' }) });
    for (const change of [{ readonly: true }, { isBlockDevice: true }])
      expect(fitOf(manifestWith({ disks: [{ ...disk!, ...change }] }), here).problems).toEqual([]);
    expect(fitOf(manifestWith(), here).problems).toHaveLength(1);
  });

  describe('with copies of its disks', () => {
    const [disk] = manifestWith().disks;
    const withCopy = (sums: string | null) =>
      manifestWith({
        disks: [{ ...disk!, copy: { file: 'disks/blk0.img', identity: identityWith(), sums } }],
      });
    const copied = { copy: () => identityWith({ ino: '8' }) };

    it('needs no original disk', () => {
      const here = surroundingsWith({ disk: () => null });
      expect(fitOf(withCopy(null), here)).toEqual({ problems: [], doubtful: [] });
      expect(fitOf(withCopy(null), here, false).problems).toEqual([
        'its disk /images/web.img does not exist',
      ]);
    });

    it('verifies the checksums of a copy that was moved, or rejects it without checksums', () => {
      expect(fitOf(withCopy('c'.repeat(64)), surroundingsWith(copied)).doubtful).toEqual(['disks/blk0.img']);
      const { problems, doubtful } = fitOf(withCopy(null), surroundingsWith(copied));
      expect(doubtful).toEqual([]);
      expect(problems[0]).toContain('disks/blk0.img was changed or copied since, and has no checksums');
    });

    it('names a truncated copy', () => {
      const here = surroundingsWith({ copy: () => identityWith({ size: 1 }) });
      expect(fitOf(withCopy(null), here).problems).toEqual([
        'disks/blk0.img is truncated: it has 1 of 100 bytes',
      ]);
    });
  });
});
