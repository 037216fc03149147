import { findProgram, readDistribution } from '../distribution.ts';
import type { HostRoot } from '../root.ts';

/** Where a boot loader has the kernel's parameters, and how they get from there to the next boot. */
export type BootLoader = {
  readonly kind: 'grub' | 'grub-legacy' | 'grubby' | 'systemd-boot' | 'proxmox' | 'unknown';
  readonly name: string;
  readonly files: readonly {
    readonly path: string;
    readonly edit: /** `GRUB_CMDLINE_LINUX="..."` of a shell file. */
      | 'variable'
      /** `kernel /vmlinuz ...` of GRUB 0.97. */
      | 'kernel-lines'
      /** `options ...` of a boot loader specification entry. */
      | 'options-lines'
      /** The file is the command line. */
      | 'whole';
  }[];
  /** To be run after an edit; null when the loader reads the files themselves. */
  readonly command: readonly [string, ...string[]] | null;
};

const grubDefaults = '/etc/default/grub';

export function detectBootLoader(root: HostRoot): BootLoader {
  const proxmox = findProgram(root, 'proxmox-boot-tool');
  if (proxmox && root.exists('/etc/kernel/cmdline') && root.exists('/etc/kernel/proxmox-boot-uuids')) {
    return {
      kind: 'proxmox',
      name: 'proxmox-boot-tool',
      files: [{ path: '/etc/kernel/cmdline', edit: 'whole' }],
      command: [proxmox, 'refresh'],
    };
  }
  return legacyGrub(root) ?? grub(root) ?? systemdBoot(root) ?? unknownLoader;
}

const unknownLoader: BootLoader = { kind: 'unknown', name: 'unknown', files: [], command: null };

/** GRUB 0.97 of CentOS 6 and its like. */
function legacyGrub(root: HostRoot): BootLoader | null {
  if (root.exists(grubDefaults) || root.exists('/boot/grub2')) return null;
  const path = ['/boot/grub/grub.conf', '/boot/grub/menu.lst'].find(file => root.exists(file));
  return path === undefined
    ? null
    : {
        kind: 'grub-legacy',
        name: 'GRUB 0.97',
        files: [{ path, edit: 'kernel-lines' }],
        command: null,
      };
}

function grub(root: HostRoot): BootLoader | null {
  const grubby = findProgram(root, 'grubby');
  if (grubby) return { kind: 'grubby', name: 'grubby', files: [], command: [grubby] };
  if (!root.exists(grubDefaults)) return null;
  const files = [{ path: grubDefaults, edit: 'variable' as const }];
  const update = findProgram(root, 'update-grub');
  if (update) return { kind: 'grub', name: 'GRUB', files, command: [update] };
  const make = findProgram(root, 'grub2-mkconfig') ?? findProgram(root, 'grub-mkconfig');
  if (!make) return null;
  return { kind: 'grub', name: 'GRUB', files, command: [make, '-o', grubConfig(root)] };
}

/** Before RHEL 9 the configuration of an UEFI host lies on the EFI partition; elsewhere that one is a stub. */
function grubConfig(root: HostRoot): string {
  const { id } = readDistribution(root);
  const efi = `/boot/efi/EFI/${id}/grub.cfg`;
  const plain = ['/boot/grub2/grub.cfg', '/boot/grub/grub.cfg'].find(path => root.exists(path));
  const stub = root.text(efi)?.includes('configfile') ?? true;
  return stub ? (plain ?? '/boot/grub/grub.cfg') : efi;
}

/** The entries themselves for the kernels that are there, kernel-install's file for those to come. */
function systemdBoot(root: HostRoot): BootLoader | null {
  const directory = ['/boot/loader/entries', '/efi/loader/entries', '/boot/efi/loader/entries'].find(
    path => (root.list(path) ?? []).length > 0,
  );
  if (directory === undefined) return null;
  const entries = (root.list(directory) ?? []).filter(name => name.endsWith('.conf'));
  const later = root.exists('/etc/kernel/cmdline')
    ? [{ path: '/etc/kernel/cmdline', edit: 'whole' as const }]
    : [];
  return {
    kind: 'systemd-boot',
    name: 'systemd-boot',
    files: [
      ...entries.map(name => ({ path: `${directory}/${name}`, edit: 'options-lines' as const })),
      ...later,
    ],
    command: null,
  };
}
