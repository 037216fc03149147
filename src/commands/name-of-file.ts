import { basename } from 'node:path';

/** A valid VM name derived from a file name. */
export function nameOfFile(file: string): string {
  const name = basename(file)
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '');
  return name.slice(0, 63) || 'vm';
}
