import { isMap } from 'yaml';
import { DefinitionFileError } from '../files.ts';
import type { Definition } from '../schema.ts';
import { YamlText } from '../yaml-text.ts';
import { changeKeys } from './change-text.ts';

/**
 * The text of a definition with another number of vCPUs; comments stay, and so does the most that the VM has room for.
 * @throws DefinitionError, DefinitionFileError if there is no room for that many
 */
export function withVcpus(text: string, file: string, { name, cpus }: Definition, count: number): string {
  const { maxcpus, topology, pinning } = cpus;
  const most = maxcpus ?? cpus.count;
  if (count > most && (maxcpus !== undefined || topology !== undefined))
    throw new DefinitionFileError(
      `${file} has room for ${most} vCPU${most === 1 ? '' : 's'}: raise ${maxcpus === undefined ? 'cpus.topology' : 'cpus.maxcpus'} first, with vring vm edit ${name}`,
    );
  const { document } = new YamlText(text, file);
  const room = most > count ? most : undefined;
  if (!isMap(document.getIn(['cpus'], true))) {
    const value = room === undefined ? count : { count, maxcpus: room };
    return changeKeys(text, file, [{ path: ['cpus'], value }]);
  }
  // One host CPU for each vCPU, or each that there may be.
  const pinned = pinning !== undefined && pinning.length > count && pinning.length < most;
  return changeKeys(text, file, [
    { path: ['cpus', 'count'], value: count },
    ...(maxcpus === undefined && room === undefined ? [] : [{ path: ['cpus', 'maxcpus'], value: room }]),
    ...(pinned ? [{ path: ['cpus', 'pinning'], value: pinning.slice(0, count) }] : []),
  ]);
}
