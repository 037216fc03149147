import { expect, test } from 'vitest';
import { sourceObstacle } from '../../../src/definitions/create/source-support.ts';

test('a kernel is a source that every version has', () => {
  expect(sourceObstacle('kernel')).toBeNull();
});

test('a source is missing for whatever its definition asks for that is not supported', () => {
  expect(sourceObstacle('cloud', ({ machine }) => (machine.kernel ? [] : [{ what: 'firmware boot' }]))).toBe(
    'needs firmware boot',
  );
  const cdroms = ({ disks }: { disks: readonly { cdrom: boolean }[] }) =>
    disks.filter(({ cdrom }) => cdrom).map(() => ({ what: 'CD-ROMs' }));
  expect(sourceObstacle('installer', cdroms)).toBe('needs CD-ROMs');
  expect(sourceObstacle('cloud', cdroms)).toBeNull();
});

test('a source is offered once nothing of it is missing', () => {
  for (const source of ['installer', 'cloud', 'kernel'] as const)
    expect(sourceObstacle(source, () => [])).toBeNull();
});
