import { isBootScript, recordedBootScript } from './boot/boot-scripts.ts';
import { isNetworkManagerFile, recordedNetworkManagerFile } from './boot/network-manager.ts';
import { isSysfsWritesFile, recordedSysfsWrites } from './boot/sysfs-writes.ts';
import { nameInCommandLine } from './use/holders.ts';

/**
 * Removes from a file what must not be recorded. Most files are kept whole; those that contain more than the readers
 * need, or may contain secrets, are reduced to what is needed.
 */
type Filter = { readonly path: RegExp; readonly apply: (text: string) => string };

const filters: readonly Filter[] = [
  {
    path: /^\/proc\/cmdline$|\/kernel\/cmdline$|\/loader\/entries\/|\/grub(\.conf|\/menu\.lst)$/,
    apply: maskSecrets,
  },
  { path: /^\/etc\/default\/grub(\.d\/|$)|\/cmdline\.d\/|\/grub2?\/grub(\.cfg|env)$/, apply: maskSecrets },
  { path: /^\/etc\/passwd$/, apply: keepUserNames },
  { path: /^\/run\/udev\/data\//, apply: keepLines(/^E:ID_(FS_(TYPE|LABEL)|PART_ENTRY_TYPE)=/) },
  { path: /^\/proc\/self\/status$/, apply: keepLines(/^(Name|PPid|Uid|CapEff):/) },
  { path: /^\/proc\/\d+\/status$/, apply: keepLines(/^Uid:/) },
  { path: /^\/proc\/\d+\/stat$/, apply: () => '' },
  { path: /^\/proc\/\d+\/cmdline$/, apply: keepVmName },
  { path: /^\/proc\/\d+\/maps$/, apply: keepMappings },
  // The header, and established connections to the SSH port.
  { path: /^\/proc\/net\/tcp6?$/, apply: keepLines(/^\s*sl |^\s*\d+: [0-9A-F]+:0016 [0-9A-F:]+ 01 /) },
  { path: /\/modules\.alias$/, apply: keepLines(/^alias (vfio_)?pci:/) },
  { path: /\/modules\.dep$/, apply: text => text.replace(/[^\s:]*\//g, '') },
  { path: /\/modules\.builtin\.modinfo$/, apply: keepPciAliases },
];

/**
 * The content to record for a file.
 * @param interfaces network interfaces of the host
 */
export function filterRecorded(
  hostPath: string,
  content: Buffer,
  interfaces: ReadonlySet<string> = new Set(),
): Buffer {
  if (isNetworkManagerFile(hostPath))
    return Buffer.from(recordedNetworkManagerFile(content.toString('utf8')));
  if (isBootScript(hostPath)) return Buffer.from(recordedBootScript(content.toString('utf8'), interfaces));
  if (isSysfsWritesFile(hostPath)) return Buffer.from(recordedSysfsWrites(content.toString('utf8')));
  // The command line in a unified kernel image: offsets in the file must not change.
  if (/\.efi$/i.test(hostPath)) return Buffer.from(maskInPlace(content.toString('latin1')), 'latin1');
  const applied = filters.filter(filter => filter.path.test(hostPath));
  if (applied.length === 0) return content;
  return Buffer.from(applied.reduce((text, filter) => filter.apply(text), content.toString('utf8')));
}

/**
 * Whether a file is left out if the filter leaves nothing: even its name, such as that of a Wi-Fi network, is not
 * needed.
 */
export function isOptional(hostPath: string): boolean {
  return /^\/proc\/\d+\//.test(hostPath) || isNetworkConfig(hostPath);
}

/** The paths that may be recorded: everything else is refused, even if a reader asks for it. */
const recordable =
  /^\/(sys|proc|boot|run\/(udev\/data|ostree-booted|modprobe\.d|modules-load\.d|systemd\/network|kernel)|usr\/(lib|lib64|share|sbin|bin|local)|lib|lib64|sbin|bin|efi|oem|dev)(\/|$)|^\/etc\/(passwd|os-release|redhat-release|modprobe\.(d|conf)|udev|driverctl\.d|default|kernel|vring|initramfs-tools|dracut\.conf|dracut\.conf\.d|mkinitcpio\.(conf|conf\.d|d)|booster\.yaml|cmdline\.d|modules|modules-load\.d|systemd\/(network|system\/multi-user\.target\.wants\/vring-host\.service)|sysconfig\/bootloader|kernelstub|zfsbootmenu|update-extlinux\.conf|limine-entry-tool\.conf|lilo\.conf)(\/|$)/;
const secret = /shadow|private|\.key$|\.pem$|_key$|passwd|credential|\/environ$|\/mem$/;

/** @param hostPath as a reader requested it; links may lead elsewhere */
export function mayRecord(hostPath: string): boolean {
  return isNetworkConfig(hostPath) || (recordable.test(hostPath) && !isSecret(hostPath));
}

export function isSecret(hostPath: string): boolean {
  // Only names and numbers of users are kept, which show whose process has a device open.
  return hostPath !== '/etc/passwd' && !isNetworkConfig(hostPath) && secret.test(hostPath);
}

/** Files that may contain secrets, which their filters remove whatever the file's name. */
function isNetworkConfig(hostPath: string): boolean {
  return isNetworkManagerFile(hostPath) || isBootScript(hostPath) || isSysfsWritesFile(hostPath);
}

const secretParameter = /([\w.-]*(?:pass|secret|token|key|cred|auth)[\w.-]*=)("[^"]*"|[^\s"\0]+)/gi;

function maskInPlace(text: string): string {
  return text.replace(secretParameter, (_, name, value) => name + '*'.repeat(value.length));
}

/** `password=...`, `rd.iscsi.password=...`, GRUB's `password --md5 ...`. */
function maskSecrets(text: string): string {
  return text.replace(secretParameter, '$1***').replace(/^(\s*password(?:_pbkdf2)?)\s.*$/gim, '$1 ***');
}

/** `root:x:0:0:root:/root:/bin/bash` as `root:x:0::::` (passwd(5)). */
function keepUserNames(text: string): string {
  const users = text.matchAll(/^([^:\n]+):[^:\n]*:(\d+):/gm);
  return Array.from(users, ([, name, uid]) => `${name}:x:${uid}::::\n`).join('');
}

/** The words that name the VM that a process runs: others may be secrets. */
function keepVmName(text: string): string {
  const words = text.split('\0');
  const name = nameInCommandLine(words);
  if (name === null) return '';
  return words[0]!.startsWith('vring: ') ? `${words[0]}\0` : `${words[0]}\0-name\0guest=${name}\0`;
}

function keepLines(wanted: RegExp): (text: string) => string {
  return text =>
    text
      .split('\n')
      .filter(line => wanted.test(line))
      .map(line => `${line}\n`)
      .join('');
}

/** Device files that are unrelated to hardware: every process has some of them open. */
const commonNodes =
  /^\/dev\/(null|zero|full|random|urandom|tty|ptmx|console|kmsg|fuse|kvm|net\/tun|vhost-\w+|(pts|shm|mqueue|hugepages)\/.*)$/;

/** Whether it is a device file or BAR of hardware. @param target as /proc shows it */
export function isHardware(target: string): boolean {
  return (target.startsWith('/dev/') && !commonNodes.test(target)) || /^\/sys\/.*\/resource\d/.test(target);
}

/** Mappings of hardware, without the addresses, which would help only an attacker. */
function keepMappings(text: string): string {
  const targets = text.split('\n').flatMap(line => /^(?:\S+ +){5}(\/.*)$/.exec(line)?.[1] ?? []);
  return [...new Set(targets.filter(isHardware))].map(target => `0-0 rw-s 0 00:00 1 ${target}\n`).join('');
}

function keepPciAliases(text: string): string {
  return text
    .split('\0')
    .filter(entry => /^[\w-]+\.alias=(vfio_)?pci:/.test(entry))
    .map(entry => `${entry}\0`)
    .join('');
}
