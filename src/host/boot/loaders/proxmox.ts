import { findProgram } from '../../distribution.ts';
import type { HostRoot } from '../../root.ts';
import type { ParameterRequest } from '../kernel-words.ts';
import { ManualStepError, requestText } from '../line-edit.ts';
import { type BootEvidence, runningSays } from './evidence.ts';
import { editKernelCmdline, kernelCmdline } from './kernel-cmdline-file.ts';
import type { ParameterEdits } from './loader.ts';

/** Proxmox VE with systemd-boot: proxmox-boot-tool writes entries to partitions that are not mounted. */
export function proxmox(
  root: HostRoot,
  evidence: BootEvidence,
  request: ParameterRequest,
): ParameterEdits | null {
  const tool = findProgram(root, 'proxmox-boot-tool');
  if (!tool || evidence.booted === 'grub' || !root.exists('/etc/kernel/proxmox-boot-uuids')) return null;
  const { path, edit } = editKernelCmdline(root, 'proxmox-boot-tool', request);
  if (path === null) {
    const step = `write the kernel parameters, including ${requestText(request)}, to ${kernelCmdline}, then run ${tool} refresh`;
    throw new ManualStepError(`${kernelCmdline} does not exist`, step);
  }
  const nothing: ParameterEdits = {
    loader: 'proxmox-boot-tool',
    request,
    files: [],
    commands: [],
    notes: [],
  };
  if (edit === null && runningSays(root, request)) return nothing;
  const reason =
    edit === null
      ? `${path} already has the parameters, but the running kernel was started without them`
      : 'it rewrites the entries';
  return {
    ...nothing,
    files: edit === null ? [] : [edit],
    commands: [{ argv: [tool, 'refresh'], undo: null, result: null, reason }],
  };
}
