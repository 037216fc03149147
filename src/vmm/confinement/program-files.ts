import { dirname, join } from 'node:path';
import { bundled, projectRoot } from '../../project-root.ts';

/** The files that a program may use while it starts, each with everything below it. */
export type ProgramFiles = { readonly execute: readonly string[]; readonly read: readonly string[] };

/** The loader and where it finds libraries; what a system does not have is passed over. */
const LOADER = ['/lib64/ld-linux-x86-64.so.2', '/lib', '/lib64', '/usr/lib', '/usr/lib64', '/nix/store'];

/** What glibc, libuv, V8 and OpenSSL read as they start. */
const RUNTIME = [
  '/etc/ld.so.cache',
  '/etc/ld.so.preload',
  '/etc/localtime',
  '/etc/ssl/openssl.cnf',
  '/usr/share/zoneinfo',
  '/dev/null',
  '/dev/urandom',
  '/proc',
  '/sys/devices/system/cpu',
  '/sys/devices/system/node',
  '/sys/fs/cgroup',
];

/** What Node needs to run vring's own code. */
export function nodeFiles(): ProgramFiles {
  const { execPath } = process;
  const root = projectRoot();
  const code = bundled ? ['dist'] : ['dist', 'src', 'test', 'node_modules'];
  return {
    execute: [execPath, ...LOADER, join(dirname(dirname(execPath)), 'lib')],
    read: [...RUNTIME, join(root, 'package.json'), ...code.map(folder => join(root, folder))],
  };
}
