import path from 'node:path';
import { shown } from '../words.ts';
import { OptionError } from './error.ts';
import type { QemuHost } from './host.ts';

/** The path of a file of this host that QEMU names. @throws OptionError */
export function hostFile(name: string, { cwd }: QemuHost): string {
  const file = name.replace(/^file:(?!.*:\/\/)/, '');
  if (/^[a-z][a-z0-9+-]+:/i.test(file)) {
    throw new OptionError(
      `${shown(file)}: vring only opens files and block devices of this host: give a path`,
    );
  }
  return path.resolve(cwd, file);
}
