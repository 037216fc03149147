import { findProgram } from '../../distribution.ts';
import type { HostRoot } from '../../root.ts';
import { keyValues } from '../../text.ts';
import { meetsRequest, type ParameterRequest } from '../kernel-words.ts';
import { ManualStepError, requestText } from '../line-edit.ts';
import { bootEntries, entryWords } from './entries.ts';
import type { BootEvidence } from './evidence.ts';
import { editKernelCmdline, kernelCmdline } from './kernel-cmdline-file.ts';
import type { ParameterEdits } from './loader.ts';

/**
 * openSUSE with boot entries (systemd-boot, or GRUB that reads them): sdbootutil generates them from
 * /etc/kernel/cmdline.
 */
export function sdbootutil(
  root: HostRoot,
  evidence: BootEvidence,
  request: ParameterRequest,
): ParameterEdits | null {
  const tool = findProgram(root, 'sdbootutil');
  const type = keyValues(root.text('/etc/sysconfig/bootloader') ?? '').get('LOADER_TYPE');
  if (!tool || !(type === 'systemd-boot' || type === 'grub2-bls' || evidence.booted === 'systemd-boot'))
    return null;
  const { path, edit } = editKernelCmdline(root, 'kernel-install', request);
  if (path === null) {
    const step = `write the kernel parameters, including ${requestText(request)}, to ${kernelCmdline}, then run ${tool} update-all-entries`;
    throw new ManualStepError(`${kernelCmdline} does not exist`, step);
  }
  const entries = bootEntries(root).filter(entry => !entry.rescue);
  const generated = entries.length > 0 && entries.every(entry => meetsRequest(entryWords(entry), request));
  const nothing: ParameterEdits = { loader: 'sdbootutil', request, files: [], commands: [], notes: [] };
  if (edit === null && generated) return nothing;
  const reason =
    edit === null
      ? `${path} already has the parameters, but the boot entries do not`
      : 'it rewrites the boot entries';
  return {
    ...nothing,
    files: edit === null ? [] : [edit],
    commands: [{ argv: [tool, 'update-all-entries'], undo: null, result: null, reason }],
  };
}
