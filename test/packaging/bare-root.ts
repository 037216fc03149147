import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';

/** What Debian's smallest systems have, as far as dpkg and a shell need it, and the libraries of Node. */
const PACKAGES = [
  ...['coreutils', 'dash', 'diffutils', 'dpkg', 'findutils', 'grep', 'libc-bin', 'tar', 'xz-utils'],
  ...['libacl1', 'libattr1', 'libbz2-1.0', 'libc6', 'libgcc-s1', 'libgmp10', 'liblzma5', 'libmd0'],
  ...['libpcre2-8-0', 'libselinux1', 'libstdc++6', 'libzstd1', 'zlib1g', 'libssl3', 'libssl3t64', 'libcap2'],
];
const LEFT_OUT = /^\/usr\/share\/(doc|info|lintian|locale|man)\/|\/gconv\/|^\/usr\/lib\/locale\//;
const DPKG = '/var/lib/dpkg';

/** Why such a root cannot be made here; null when it can. */
export const noBareRoot: string | null =
  process.getuid?.() !== 0
    ? 'only root can change its root'
    : existsSync(join(DPKG, 'status'))
      ? null
      : 'this is not Debian or a relative';

/** A Debian root with hardly more than a shell and dpkg, made of this machine's files. */
export class BareRoot {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  async build(): Promise<void> {
    for (const name of [
      'dev',
      'etc',
      'proc',
      'root',
      'run',
      'tmp',
      'usr/bin',
      'usr/lib',
      `${DPKG}/info`,
      `${DPKG}/updates`,
    ])
      mkdirSync(join(this.folder, name), { recursive: true });
    for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
      mkdirSync(join(this.folder, 'usr', name), { recursive: true });
      symlinkSync(`usr/${name}`, join(this.folder, name));
    }
    const status = readFileSync(join(DPKG, 'status'), 'utf8').split('\n\n');
    const entries = PACKAGES.flatMap(name => status.filter(entry => entry.startsWith(`Package: ${name}\n`)));
    writeFileSync(join(this.folder, DPKG, 'status'), `${entries.join('\n\n')}\n`);
    const names = entries.map(entry => entry.slice('Package: '.length, entry.indexOf('\n')));
    const { stdout } = await execa('dpkg-query', ['--listfiles', ...names]);
    const files = stdout
      .split('\n')
      .filter(path => path.length > 1 && existsSync(path) && !LEFT_OUT.test(path));
    const { stdout: lists } = await execa('sh', ['-c', `ls ${DPKG}/info/*.list`]);
    const ours = lists.split('\n').filter(path => names.includes(path.replace(/^.*\/|(:\w+)?\.list$/g, '')));
    await execa(
      'sh',
      [
        '-c',
        'tar --create --no-recursion --files-from - | tar --extract --keep-directory-symlink -C "$1"',
        'sh',
        this.folder,
      ],
      {
        cwd: '/',
        input: [...files, ...ours].map(path => path.slice(1)).join('\n'),
      },
    );
  }

  /** Has no C library at all: only busybox, which is linked statically. */
  buildWithoutGlibc(): void {
    mkdirSync(join(this.folder, 'bin'), { recursive: true });
    for (const name of ['dev', 'proc']) mkdirSync(join(this.folder, name));
    copyFileSync('/bin/busybox', join(this.folder, 'bin/busybox'));
    for (const name of ['sh', 'readlink', 'mkdir']) symlinkSync('busybox', join(this.folder, 'bin', name));
  }

  /** Runs a shell command in it, with this machine's /dev and /proc. */
  run(command: string) {
    const script =
      'mount --rbind /dev "$1/dev" && mount --rbind /proc "$1/proc" && exec chroot "$1" /bin/sh -c "$2"';
    return execa('unshare', ['--mount', 'sh', '-c', script, 'sh', this.folder, command], {
      env: {
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: '/root',
        DEBIAN_FRONTEND: 'noninteractive',
      },
      extendEnv: false,
      stdin: 'ignore',
      all: true,
      reject: false,
    });
  }
}
