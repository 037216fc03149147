import type { XmlElement } from '@rgrove/parse-xml';
import { libvirtDevice } from '../known-devices.ts';
import type { DefinitionInput } from '../schema.ts';
import type { DomainDocument } from './document.ts';

/** The first <tpm>. */
export function readTpm(document: DomainDocument, devices: XmlElement | null): Pick<DefinitionInput, 'tpm'> {
  const [element, ...others] = document.children(devices, 'tpm');
  for (const other of others) document.leaveOut(other, 'a guest has one TPM');
  if (element === undefined) return {};
  const backend = document.child(element, 'backend');
  const { type = '', version } = backend?.attributes ?? {};
  const model = element.attributes.model ?? 'tpm-tis';
  const row = libvirtDevice('tpm', model);
  const source = document.child(backend, 'source')?.attributes;
  const socket = type === 'external' && source?.type === 'unix' ? source.path : undefined;
  const why =
    row === undefined
      ? `vring has no TPM ${model}: it has tpm-tis and tpm-crb`
      : version === '1.2'
        ? 'vring has TPMs of version 2.0 only'
        : type !== 'emulator' && socket === undefined
          ? `vring has no TPM by ${type || 'nothing'}: it starts swtpm (emulator)`
          : null;
  if (why !== null) {
    document.leaveOut(element, why);
    return {};
  }
  document.skipAll(element);
  const crb = row!.definition?.value === 'crb' && ({ model: 'crb' } as const);
  return { tpm: { ...crb, ...(socket !== undefined && { socket }) } };
}
