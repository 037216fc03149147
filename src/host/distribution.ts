import { own } from '../text/own.ts';
import type { HostRoot } from './root.ts';
import { keyValues, printable } from './text.ts';
import { mountOf } from './use/mounts.ts';

export type DistributionFamily = 'debian' | 'redhat' | 'suse' | 'arch' | 'other';

export type Distribution = {
  /** `debian`, `ubuntu`, `rhel`, `fedora`, `centos`... */
  readonly id: string;
  readonly version: string;
  /** Its PRETTY_NAME: `Debian GNU/Linux 12 (bookworm)`. */
  readonly name: string;
  readonly family: DistributionFamily;
};

const families: Readonly<Record<string, DistributionFamily>> = {
  debian: 'debian',
  ubuntu: 'debian',
  rhel: 'redhat',
  fedora: 'redhat',
  centos: 'redhat',
  suse: 'suse',
  opensuse: 'suse',
  arch: 'arch',
};

/** From os-release(5), or on older hosts from /etc/redhat-release. */
export function readDistribution(root: HostRoot): Distribution {
  const text = root.text('/etc/os-release') ?? root.text('/usr/lib/os-release');
  if (text === null) return beforeOsRelease(root);
  const values = keyValues(text);
  const id = (values.get('ID') ?? 'unknown').toLowerCase();
  const like = (values.get('ID_LIKE') ?? '').toLowerCase().split(/\s+/);
  const family = [id, ...like, id.split('-')[0]!].map(name => own(families, name)).find(Boolean) ?? 'other';
  return {
    id,
    version: values.get('VERSION_ID') ?? '',
    name: printable(values.get('PRETTY_NAME') ?? values.get('NAME') ?? id),
    family,
  };
}

function beforeOsRelease(root: HostRoot): Distribution {
  const name = root.attribute('/etc/redhat-release');
  if (name === null) return { id: 'unknown', version: '', name: 'Linux', family: 'other' };
  return {
    id: name.toLowerCase().startsWith('centos') ? 'centos' : 'rhel',
    version: /release ([\d.]+)/.exec(name)?.[1] ?? '',
    name: printable(name),
    family: 'redhat',
  };
}

/** The path of a program in a standard directory, or null. */
export function findProgram(root: HostRoot, name: string): string | null {
  const directories = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/sbin', '/usr/local/bin'];
  return directories.map(directory => `${directory}/${name}`).find(path => root.exists(path)) ?? null;
}

/**
 * transactional-update(8) of openSUSE MicroOS and SUSE Linux Micro, whose root file system is a read-only snapshot:
 * changes outside /etc go to a new one. Null on other hosts.
 */
export function transactionalUpdate(root: HostRoot): string | null {
  const program = findProgram(root, 'transactional-update');
  return program !== null && mountOf(root, '/')?.readOnly === true ? program : null;
}

/** The command that installs a package here, e.g. `apt install pci.ids`. */
export function installCommand(
  distribution: Distribution,
  packages: Readonly<Record<DistributionFamily, string>>,
): string {
  const name = packages[distribution.family];
  switch (distribution.family) {
    case 'debian':
      return `apt install ${name}`;
    case 'redhat':
      return `${distribution.id === 'centos' && Number(distribution.version) < 8 ? 'yum' : 'dnf'} install ${name}`;
    case 'suse':
      return `zypper install ${name}`;
    case 'arch':
      return `pacman -S ${name}`;
    default:
      return `install the package ${name}`;
  }
}
