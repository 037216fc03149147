import { type Definition, type DefinitionInput, definition } from '../schema.ts';
import { notYet } from '../to-machine.ts';
import { andList } from '../words.ts';
import type { NewVmSource } from './plan.ts';

type SourceKind = NewVmSource['kind'];

/** The minimum that a VM of each source needs. */
const SAMPLES: Readonly<Record<SourceKind, Omit<DefinitionInput, 'name'>>> = {
  installer: { disks: [{ file: '/disk' }, { file: '/installer.iso', cdrom: true }] },
  cloud: { disks: [{ file: '/disk' }, { file: '/seed', readonly: true }] },
  kernel: { machine: { kernel: '/vmlinuz' } },
};

/** Why a new VM cannot start from a source in this version: `needs UEFI firmware`; null if it can. */
export function sourceObstacle(
  kind: SourceKind,
  missingFrom: (definition: Definition) => readonly { readonly what: string }[] = notYet,
): string | null {
  const missing = missingFrom(definition.parse({ name: 'sample', ...SAMPLES[kind] }));
  return missing.length === 0 ? null : `needs ${andList(missing.map(({ what }) => what))}`;
}
