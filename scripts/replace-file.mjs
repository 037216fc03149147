import { copyFileSync, renameSync } from 'node:fs';

/** Copies `from` to `to` as a new file: a running vring keeps the old one mapped, and no reader sees a partial file. */
export function replaceFile(from, to) {
  const temporary = `${to}.${process.pid}`;
  copyFileSync(from, temporary);
  renameSync(temporary, to);
}
