import type { AddressStyle } from '../../view/host-selectors.ts';
import type { Cell } from '../../view/list-columns.ts';

/** An address as the lists write it: without the domain where all are in domain 0. */
export function shortAddress(address: string, { withDomain }: AddressStyle): string {
  return withDomain ? address : address.replace(/^0000:/, '');
}

export function markCell(marked: boolean): Cell {
  return marked ? { text: '*', token: 'key' } : '';
}
