import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { projectRoot } from '../../src/project-root.ts';

export type StageOptions = {
  /** The install prefix that the files refer to, `/usr` or `/usr/local`. */
  readonly prefix: string;
  /** Where zsh looks for completions, below the prefix: Debian has a separate folder for packages. */
  readonly zshFolder: 'share/zsh/vendor-completions' | 'share/zsh/site-functions';
  /** The Node runtime to bundle. */
  readonly node: string;
  /** Seconds since 1970: the time of every file. */
  readonly epoch: number;
};

const root = projectRoot();
const DOCS = ['README.md', ...readdirSync(join(root, 'docs')).map(name => `docs/${name}`)];
/** Machine code, with symbols that only the linker needs. */
const STRIPPED = ['bin/node', 'dist/libvring_native.so', 'dist/vring-net-user', 'dist/koffi.node'];

/** Lays out the files below the install prefix in `folder`: only what is needed to run vring, and its documentation. */
export function stage(folder: string, options: StageOptions): void {
  const { prefix, zshFolder, node, epoch } = options;
  const write = (path: string, content: string | Buffer, mode = 0o644) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
    chmodSync(join(folder, path), mode);
  };
  const copy = (from: string, path: string, mode?: number) => {
    write(path, '');
    copyFileSync(from, join(folder, path));
    chmodSync(join(folder, path), mode ?? 0o644);
  };

  copy(join(root, 'bin/vring'), 'lib/vring/bin/vring', 0o755);
  copy(node, 'lib/vring/bin/node', 0o755);
  for (const path of builtFiles()) {
    copy(join(root, 'dist', path), `lib/vring/dist/${path}`, path === 'vring-net-user' ? 0o755 : 0o644);
  }
  for (const file of STRIPPED)
    execFileSync('strip', ['--strip-unneeded', join(folder, 'lib/vring', file)], { stdio: 'pipe' });
  mkdirSync(join(folder, 'bin'), { recursive: true });
  symlinkSync('../lib/vring/bin/vring', join(folder, 'bin/vring'));

  for (const [unit, path] of [
    ['vring.service', 'lib/systemd/system/vring.service'],
    ['user/vring.service', 'lib/systemd/user/vring.service'],
  ] as const) {
    const text = readFileSync(join(root, 'packaging/systemd', unit), 'utf8');
    write(path, text.replace('ExecStart=/usr/bin/', `ExecStart=${prefix}/bin/`));
  }
  for (const path of ['prometheus/vring.rules.yml', 'grafana/vring.json'])
    copy(join(root, 'packaging', path), `share/vring/${path}`);
  copy(join(root, 'packaging/modules-load.conf'), 'lib/modules-load.d/vring.conf');
  write('share/man/man1/vring.1.gz', gzip(readFileSync(join(root, 'man/vring.1'))));
  write('share/bash-completion/completions/vring', completion('bash'));
  write(`${zshFolder}/_vring`, completion('zsh'));
  write('share/fish/vendor_completions.d/vring.fish', completion('fish'));

  for (const path of DOCS) copy(join(root, path), `share/doc/vring/${path}`);
  write('share/doc/vring/third-party-licenses.txt.gz', gzip(Buffer.from(licenses(node))));
  setTimes(folder, epoch);
}

/** Sets the time of a folder and everything in it. */
export function setTimes(folder: string, epoch: number): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) setTimes(path, epoch);
    else lutimesSync(path, epoch, epoch);
  }
  if (lstatSync(folder).isDirectory()) chmodSync(folder, 0o755);
  lutimesSync(folder, epoch, epoch);
}

/** The relative paths of all regular files in a folder. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/** Without gzip's timestamp. */
export function gzip(content: Buffer): Buffer {
  return gzipSync(content, { level: 9 });
}

/** Licenses have their own place; the tests and types of device modules come with the npm package. */
const NOT_INSTALLED = /^(third-party-licenses\.txt|types\/.*|device(-testing)?\.js)$/;

const NEEDED = [
  'cli.js',
  'run.cjs',
  'run-here.cjs',
  'serve.cjs',
  'ui.cjs',
  'ui-program.cjs',
  'machine-process.cjs',
  'machine-thread.cjs',
  'machine-thread-program.cjs',
  'machine-parts.js',
  'libvring_native.so',
  'vring-net-user',
  'koffi.node',
  'guest.elf',
  'guest-multiboot.elf',
  'linuxboot.bin',
];

function builtFiles(): string[] {
  const files = filesBelow(join(root, 'dist')).filter(path => !NOT_INSTALLED.test(path));
  for (const needed of NEEDED)
    if (!files.includes(needed)) throw new Error(`dist/${needed} is missing: run npm run build`);
  return files;
}

function completion(shell: string): string {
  const args = [join(root, 'dist/cli.js'), 'completion', shell];
  return execFileSync(process.execPath, args, { encoding: 'utf8' });
}

function licenses(node: string): string {
  const ours = readFileSync(join(root, 'dist/third-party-licenses.txt'), 'utf8');
  const ofNode = join(dirname(node), '../LICENSE');
  if (!existsSync(ofNode)) throw new Error(`${ofNode} is missing: packages must include the license of Node`);
  return `${ours}\n${'='.repeat(80)}\n\nNode.js\n\n${readFileSync(ofNode, 'utf8')}`;
}
