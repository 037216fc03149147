import { shellText } from '../../../text/shell.ts';
import { findProgram, readDistribution, transactionalUpdate } from '../../distribution.ts';
import type { HostRoot } from '../../root.ts';
import type { ParameterRequest } from '../kernel-words.ts';
import { ManualStepError } from '../line-edit.ts';
import { bootEntries, editEntries } from './entries.ts';
import { type BootEvidence, runningSays } from './evidence.ts';
import { grubConfigSays, readable } from './grub-config.ts';
import { editGrubDefaults, grubDefaults, grubSources, grubVariable } from './grub-defaults.ts';
import type { Argv, ParameterEdits } from './loader.ts';

/** GRUB 2 with a generated configuration: /etc/default/grub and its generator. */
export function grub(
  root: HostRoot,
  evidence: BootEvidence,
  request: ParameterRequest,
): ParameterEdits | null {
  if (evidence.booted !== 'grub' && (evidence.booted !== null || bootEntries(root).length > 0)) return null;
  const sources = grubSources(root);
  if (sources === null) return null;
  const name = 'GRUB';
  // grub-mkconfig does not rewrite boot loader entries.
  if (grubVariable(root, 'GRUB_ENABLE_BLSCFG') === 'true' && bootEntries(root).length > 0) {
    return { ...editEntries(root, request), loader: name };
  }
  const generator = findGenerator(root);
  const then = generator === null ? 'grub-mkconfig' : shellText(generator.argv);
  const { files, words } = editGrubDefaults(root, sources, request, then);
  if (generator === null) {
    throw new ManualStepError(
      `${grubDefaults} exists, but grub-mkconfig is not installed`,
      `install it, then run vring iommu enable again`,
    );
  }
  const { argv, config } = generator;
  const generated = config === null ? runningSays(root, request) : grubConfigSays(root, config, request);
  if (files.length === 0 && generated === true) {
    return { loader: name, request, files, commands: [], notes: [] };
  }
  const reason =
    files.length > 0 ? `${name} reads the generated configuration` : staleReason(config, generated);
  const result =
    config !== null && root.exists(config) ? ({ kind: 'file', path: config, has: words } as const) : null;
  return { loader: name, request, files, commands: [{ argv, undo: null, result, reason }], notes: [] };
}

function staleReason(config: string | null, generated: boolean | null): string {
  if (config === null)
    return `${grubDefaults} already has the parameters, but the running kernel was started without them`;
  return generated === null
    ? `${grubDefaults} already has the parameters, but ${config} cannot be checked`
    : `${grubDefaults} already has the parameters, but ${config} has not been regenerated since`;
}

/** The command that generates grub.cfg, and the file; null for the file if it is on partitions that are not mounted. */
function findGenerator(root: HostRoot): { readonly argv: Argv; readonly config: string | null } | null {
  const transactional = transactionalUpdate(root);
  if (transactional !== null) return { argv: [transactional, 'grub.cfg'], config: null };
  const proxmox = findProgram(root, 'proxmox-boot-tool');
  if (proxmox && root.exists('/etc/kernel/proxmox-boot-uuids'))
    return { argv: [proxmox, 'refresh'], config: null };
  const update = findProgram(root, 'update-grub');
  if (update) return { argv: [update], config: '/boot/grub/grub.cfg' };
  const make = findProgram(root, 'grub2-mkconfig') ?? findProgram(root, 'grub-mkconfig');
  const config = grubConfig(root);
  return make ? { argv: [make, '-o', config], config } : null;
}

/**
 * Before RHEL 9, a UEFI host has its configuration on the EFI partition; elsewhere that file is a stub. RHEL and Oracle
 * Linux have it in a directory that is not named after their id.
 */
export function grubConfig(root: HostRoot): string {
  const { id, family } = readDistribution(root);
  const names = [id, ...(family === 'redhat' ? ['redhat'] : [])].map(
    name => `/boot/efi/EFI/${name}/grub.cfg`,
  );
  const efi = names.find(path => readable(() => root.exists(path))) ?? names[0]!;
  const plain = ['/boot/grub2/grub.cfg', '/boot/grub/grub.cfg'].find(path => root.exists(path));
  const stub = root.text(efi)?.includes('configfile') ?? true;
  return stub ? (plain ?? '/boot/grub/grub.cfg') : efi;
}
