import { macAddress } from '../../engine/networks/mac-address.ts';
import type { Definition } from '../schema.ts';
import { changeKeys } from './change-text.ts';

/**
 * The text of a definition under another name. Network cards whose addresses were derived from the old name keep them:
 * to a guest, another address is another card.
 */
export function renamedText(text: string, file: string, definition: Definition, name: string): string {
  const macs = definition.nics.flatMap(({ mac }, index) =>
    mac === undefined ? [{ path: ['nics', index, 'mac'], value: macAddress(definition.name, index) }] : [],
  );
  return changeKeys(text, file, [{ path: ['name'], value: name }, ...macs]);
}
