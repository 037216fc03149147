import { deviceName, type PciFunction } from '../../host/pci/function.ts';

/** Company suffixes to drop from vendor names. */
const additions =
  /,? (Corporation|Corp\.?|Inc\.?|Co\.,? Ltd\.?|Co Ltd|Ltd\.?|Limited|GmbH|LLC|AG|Technology|Technologies|Electronics|Semiconductor|Communications)(?=,| |$)/g;

/** A device name for a narrow column: `Intel Ethernet Controller X710 for 10GbE SFP+`. */
export function shortDeviceName(fn: Pick<PciFunction, 'names' | 'vendor' | 'device'>): string {
  const { vendor } = fn.names;
  if (vendor === null) return deviceName(fn);
  const short = /\[([^\]]+)\]$/.exec(vendor)?.[1] ?? vendor.replace(additions, '').replace(/,$/, '');
  return deviceName({ ...fn, names: { ...fn.names, vendor: short || vendor } });
}

/** Drops the domain from addresses if all of them are in domain 0. */
export function shortener(addresses: readonly string[]): (address: string) => string {
  const oneDomain = addresses.every(address => address.startsWith('0000:'));
  return address => (oneDomain ? address.replace(/^0000:/, '') : address);
}
