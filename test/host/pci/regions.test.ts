import { expect, test } from 'vitest';
import { parseRegions } from '../../../src/host/pci/regions.ts';

const BAR = '0x00000000febc0000 0x00000000febdffff 0x0000000000040200';
const NONE = '0x0000000000000000 0x0000000000000000 0x0000000000000000';

test("a region's number is that of its line", () => {
  expect(parseRegions(`${NONE}\n${BAR}\n`, false)).toEqual([
    { name: 'bar 1', kind: 'memory', start: '0xfebc0000', size: 0x20000, bits: 32, prefetchable: false },
  ]);
});

test.each(['0x', '0x1', '0x1 0x2', `${BAR} 0x1`, '0xzz 0x1 0x200', `0x${'f'.repeat(70)} 0x1 0x200`])(
  'a damaged line is not a region: %j',
  line => expect(parseRegions(`${line}\n${BAR}\n`, false).map(({ name }) => name)).toEqual(['bar 1']),
);
