import fs from 'node:fs';
import readline from 'node:readline';
import { removeFiles, replaceFile } from '../../files/replace-file.ts';
import type { HostOperation, HostReply } from './process-writer.ts';

// Entry point of the process that writes to the host: one operation per line on stdin, one reply per line on stdout. It
// may hang in the kernel forever; it exits at the end of stdin.
for await (const line of readline.createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(perform(JSON.parse(line) as HostOperation))}\n`);
}

function perform(operation: HostOperation): HostReply {
  try {
    switch (operation.kind) {
      case 'write':
        writeOnce(operation.path, operation.value);
        break;
      case 'file': {
        const { path, content, mode, backup } = operation;
        replaceFile(path, content, {
          mode,
          backup: backup === null ? null : { path: backup, replace: false },
        });
        break;
      }
      case 'remove':
        removeFiles(operation.paths, operation.directory);
        break;
    }
    return { ok: true };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { ok: false, message, ...(code !== undefined && { code }) };
  }
}

/** One write(2) of the whole value. Without O_CREAT, so that a missing attribute is reported. */
function writeOnce(path: string, value: string): void {
  const fd = fs.openSync(path, fs.constants.O_WRONLY);
  try {
    fs.writeSync(fd, value);
  } finally {
    fs.closeSync(fd);
  }
}
