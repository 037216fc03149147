import * as z from 'zod';
import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import type { PhysicalFunction } from './read.ts';

/**
 * What the physical function of an NVMe controller has assigned to a VF (NVM Express Base 2.0 §8.26, Virtualization
 * Enhancements).
 */
export type SecondaryController = {
  /** The device file of the physical function's controller: `/dev/nvme0`. */
  readonly primary: string;
  /** Controller identifier. */
  readonly id: number;
  /** An offline controller cannot be used. */
  readonly online: boolean;
  /** Queue pairs, including that of admin commands. */
  readonly queues: number;
  readonly interrupts: number;
};

const NVME = '0108';

const listSchema = z.object({
  'secondary-controllers': z.array(
    z.object({
      'secondary-controller-identifier': z.int(),
      'secondary-controller-state': z.int(),
      'virtual-function-number': z.int(),
      'num-virtual-queues': z.int(),
      'num-virtual-interrupts': z.int(),
    }),
  ),
});

/**
 * The VFs of NVMe controllers, by address, if nvme-cli is installed and this user may query them. Runs a command for
 * each controller with VFs, so do not call it periodically.
 */
export async function readSecondaryControllers(
  root: HostRoot,
  functions: readonly PciFunction[],
  physicalFunctions: readonly PhysicalFunction[],
): Promise<Map<string, SecondaryController>> {
  const found = new Map<string, SecondaryController>();
  const byAddress = new Map(functions.map(fn => [fn.address, fn]));
  for (const { address, vfs } of physicalFunctions) {
    const fn = byAddress.get(address);
    if (vfs.length === 0 || fn === undefined || !fn.class.startsWith(NVME)) continue;
    const name = root.list(`${fn.path}/nvme`)?.find(each => /^nvme\d+$/.test(each));
    if (name === undefined) continue;
    const primary = `/dev/${name}`;
    const listed = await root.query('nvme', 'list-secondary', primary, '--output-format=json');
    for (const each of parseList(listed?.exitCode === 0 ? listed.stdout : '')) {
      // They are numbered from 1.
      const vf = vfs.find(({ index }) => index + 1 === each['virtual-function-number']);
      if (vf === undefined) continue;
      found.set(vf.address, {
        primary,
        id: each['secondary-controller-identifier'],
        online: (each['secondary-controller-state'] & 1) !== 0,
        queues: each['num-virtual-queues'],
        interrupts: each['num-virtual-interrupts'],
      });
    }
  }
  return found;
}

function parseList(json: string): z.output<typeof listSchema>['secondary-controllers'] {
  try {
    return listSchema.parse(JSON.parse(json))['secondary-controllers'];
  } catch {
    return [];
  }
}
