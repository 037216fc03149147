import { copyFileSync, renameSync, writeFileSync } from 'node:fs';

/** Copies `from` to `to` as a new file: a running vring keeps the old one mapped, and no reader sees a partial file. */
export function replaceFile(from, to) {
  replace(to, temporary => copyFileSync(from, temporary));
}

/** Writes `content` to `to` as a new file. */
export function writeNew(to, content) {
  replace(to, temporary => writeFileSync(temporary, content));
}

function replace(to, write) {
  const temporary = `${to}.${process.pid}`;
  write(temporary);
  renameSync(temporary, to);
}
