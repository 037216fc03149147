import { basename } from 'node:path';

/** A valid VM name made of a file's. */
export function nameOfFile(file: string): string {
  const name = basename(file)
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '');
  return name.slice(0, 63) || 'vm';
}
