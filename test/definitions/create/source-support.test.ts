import { expect, test } from 'vitest';
import { sourceObstacle } from '../../../src/definitions/create/source-support.ts';

test('every version can start from a kernel', () => {
  expect(sourceObstacle('kernel')).toBeNull();
});

test('a source is unavailable while its definition needs something unsupported', () => {
  expect(sourceObstacle('cloud', ({ machine }) => (machine.kernel ? [] : [{ what: 'UEFI firmware' }]))).toBe(
    'needs UEFI firmware',
  );
  const cdroms = ({ disks }: { disks: readonly { cdrom: boolean }[] }) =>
    disks.filter(({ cdrom }) => cdrom).map(() => ({ what: 'CD-ROMs' }));
  expect(sourceObstacle('installer', cdroms)).toBe('needs CD-ROMs');
  expect(sourceObstacle('cloud', cdroms)).toBeNull();
});

test('a source is offered once everything it needs is supported', () => {
  for (const source of ['installer', 'cloud', 'kernel'] as const)
    expect(sourceObstacle(source, () => [])).toBeNull();
});
