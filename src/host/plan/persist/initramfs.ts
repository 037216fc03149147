import { configFiles } from '../../boot/config-files.ts';
import { installLayout } from '../../boot/loaders/uki.ts';
import { findProgram, transactionalUpdate } from '../../distribution.ts';
import type { HostRoot } from '../../root.ts';

type Argv = readonly [string, ...string[]];

/** The command that rebuilds the initramfs of every installed kernel; null if none is known. */
export function initramfsCommand(root: HostRoot): Argv | null {
  const transactional = transactionalUpdate(root);
  if (transactional !== null) return [transactional, 'initrd'];
  const kernelInstall = findProgram(root, 'kernel-install');
  // The initramfs is then part of the image.
  if (kernelInstall !== null && installLayout(root) === 'uki') return [kernelInstall, 'add-all'];
  return firstOf(root, [
    ['update-initramfs', '-u', '-k', 'all'],
    ['dracut', '--regenerate-all', '--force'],
    ...mkinitcpio(root),
    ['mkinitfs'],
  ]);
}

/** Without presets, mkinitcpio -P does nothing: another program calls it for each kernel. */
function mkinitcpio(root: HostRoot): Argv[] {
  if (findProgram(root, 'mkinitcpio') === null) return [['/usr/lib/booster/regenerate_images']];
  if (configFiles(root, ['/etc/mkinitcpio.d'], '.preset').length > 0) return [['mkinitcpio', '-P']];
  return [['limine-mkinitcpio'], ['kernel-install', 'add-all'], ['mkinitcpio', '-P']];
}

function firstOf(root: HostRoot, commands: readonly Argv[]): Argv | null {
  for (const [tool, ...options] of commands) {
    const program = tool.startsWith('/') ? (root.exists(tool) ? tool : null) : findProgram(root, tool);
    if (program !== null) return [program, ...options];
  }
  return null;
}
