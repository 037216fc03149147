import type { RowSource } from './host-lists.ts';
import type { SriovRow } from './host-rows.ts';

/** PFs, each with its VFs below. */
export const SRIOV_FUNCTIONS: RowSource<SriovRow> = {
  list: 'sriov',
  rows: host =>
    [...host.physicalFunctions.values()].flatMap(physical => {
      const { address, vfs } = physical;
      const below = vfs.map(
        (virtual): SriovRow => ({
          key: virtual.address,
          address: virtual.address,
          physical,
          virtual,
          matches: true,
        }),
      );
      return [{ key: address, address, physical, virtual: null, matches: true }, ...below];
    }),
  depth: ({ virtual }) => (virtual === null ? 0 : 1),
};
