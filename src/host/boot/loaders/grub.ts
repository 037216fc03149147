import { findProgram, readDistribution } from '../../distribution.ts';
import type { HostRoot } from '../../root.ts';
import { shellText } from '../../text.ts';
import type { ParameterRequest } from '../kernel-words.ts';
import { ManualStepError } from '../line-edit.ts';
import { bootEntries, editEntries } from './entries.ts';
import { type BootEvidence, runningSays } from './evidence.ts';
import { grubConfigSays } from './grub-config.ts';
import { editGrubDefaults, grubDefaults, grubSources, grubVariable } from './grub-defaults.ts';
import type { Argv, ParameterEdits } from './loader.ts';

/** GRUB 2 whose configuration is generated: /etc/default/grub and what goes with it. */
export function grub(
  root: HostRoot,
  evidence: BootEvidence,
  request: ParameterRequest,
): ParameterEdits | null {
  if (evidence.booted !== 'grub' && (evidence.booted !== null || bootEntries(root).length > 0)) return null;
  const sources = grubSources(root);
  if (sources === null) return null;
  const name = 'GRUB';
  // Entries of their own are not made anew by grub-mkconfig.
  if (grubVariable(root, 'GRUB_ENABLE_BLSCFG') === 'true' && bootEntries(root).length > 0) {
    return { ...editEntries(root, request), loader: name };
  }
  const generator = findGenerator(root);
  const then = generator === null ? 'grub-mkconfig' : shellText(generator.argv);
  const { files, words } = editGrubDefaults(root, sources, request, then);
  if (generator === null) {
    throw new ManualStepError(
      `${grubDefaults} is there, but no grub-mkconfig`,
      `run it after an edit of ${grubDefaults}`,
    );
  }
  const { argv, config } = generator;
  const generated = config === null ? runningSays(root, request) : grubConfigSays(root, config, request);
  if (files.length === 0 && generated === true) {
    return { loader: name, request, files, commands: [], notes: [] };
  }
  const reason = files.length > 0 ? `${name} takes it over` : staleReason(config, generated);
  const result =
    config !== null && root.exists(config) ? ({ kind: 'file', path: config, has: words } as const) : null;
  return { loader: name, request, files, commands: [{ argv, undo: null, result, reason }], notes: [] };
}

function staleReason(config: string | null, generated: boolean | null): string {
  if (config === null) return `${grubDefaults} says so already, the running kernel was started without it`;
  return generated === null
    ? `${grubDefaults} says so already; whether ${config} does is not known`
    : `${grubDefaults} says so already, but ${config} was not generated since`;
}

/** What makes grub.cfg, and where; null for the file where it is on partitions that are not mounted. */
function findGenerator(root: HostRoot): { readonly argv: Argv; readonly config: string | null } | null {
  const proxmox = findProgram(root, 'proxmox-boot-tool');
  if (proxmox && root.exists('/etc/kernel/proxmox-boot-uuids'))
    return { argv: [proxmox, 'refresh'], config: null };
  const update = findProgram(root, 'update-grub');
  if (update) return { argv: [update], config: '/boot/grub/grub.cfg' };
  const make = findProgram(root, 'grub2-mkconfig') ?? findProgram(root, 'grub-mkconfig');
  const config = grubConfig(root);
  return make ? { argv: [make, '-o', config], config } : null;
}

/** Before RHEL 9 the configuration of an UEFI host lies on the EFI partition; elsewhere that one is a stub. */
export function grubConfig(root: HostRoot): string {
  const { id } = readDistribution(root);
  const efi = `/boot/efi/EFI/${id}/grub.cfg`;
  const plain = ['/boot/grub2/grub.cfg', '/boot/grub/grub.cfg'].find(path => root.exists(path));
  const stub = root.text(efi)?.includes('configfile') ?? true;
  return stub ? (plain ?? '/boot/grub/grub.cfg') : efi;
}
