import { parseAddress } from '../pci/address.ts';
import type { HostRoot } from '../root.ts';
import { readFunctionNodes } from '../use/device-nodes.ts';
import { usersOfNodes } from '../use/device-users.ts';
import { holderAndUser } from '../use/holders.ts';
import { readOpenFiles } from '../use/open-files.ts';
import type { Action } from './plan.ts';

/**
 * Prepares to find who uses the function of a write. Its device files are looked up now, because the driver removes
 * them when it unbinds.
 */
export function userFinder(root: HostRoot, action: Action): () => Promise<string[]> {
  const address = action.kind === 'write' ? addressOf(action.path, action.value) : null;
  const path = address === null ? null : root.real(`/sys/bus/pci/devices/${address}`);
  if (address === null || path === null) return async () => [];
  const nodes = readFunctionNodes(root, [{ address, path, driver: root.linkName(`${path}/driver`) }]);
  return async () => {
    const users = usersOfNodes(await readOpenFiles(root, { devices: true }), nodes).byAddress.get(address);
    return (users ?? []).map(({ holder }) => holderAndUser(holder));
  };
}

function addressOf(path: string, value: string): string | null {
  return [value.trim(), ...path.split('/')].find(word => parseAddress(word) !== null) ?? null;
}
