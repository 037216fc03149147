import { copyFileSync, renameSync } from 'node:fs';

/** Copies `from` to `to` as a new file: a running vring keeps the old one mapped, and nobody finds half a file. */
export function replaceFile(from, to) {
  const temporary = `${to}.${process.pid}`;
  copyFileSync(from, temporary);
  renameSync(temporary, to);
}
