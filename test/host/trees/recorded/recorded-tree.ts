import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { HostRoot } from '../../../../src/host/root.ts';

/** One entry of a recorded host: a link's target, a file's text or its bytes in base64; null: a directory. */
type Entry = { readonly link: string } | { readonly text: string } | { readonly bytes: string } | null;

/** Packs a directory that `vring host record` wrote into one text: a line of JSON, [path, entry], for each. */
export function packTree(directory: string): string {
  const entries: [string, Entry][] = [];
  const visit = (below: string): void => {
    for (const entry of fs.readdirSync(path.join(directory, below), { withFileTypes: true })) {
      const name = `${below}/${entry.name}`;
      const full = path.join(directory, name);
      if (entry.isSymbolicLink()) entries.push([name, { link: fs.readlinkSync(full) }]);
      else if (entry.isFile()) entries.push([name, fileEntry(fs.readFileSync(full))]);
      else {
        if (fs.readdirSync(full).length === 0) entries.push([name, null]);
        visit(name);
      }
    }
  };
  visit('');
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(entry => `${JSON.stringify(entry)}\n`).join('');
}

function fileEntry(content: Buffer): Entry {
  const text = content.toString('utf8');
  const faithful = Buffer.from(text).equals(content) && !text.includes('\0');
  return faithful ? { text } : { bytes: content.toString('base64') };
}

/** Unpacks the recording of this name into a temporary directory; `remove` takes it away again. */
export function recordedTree(name: string): { root: HostRoot; remove: () => void } {
  const file = path.join(import.meta.dirname, `${name}.tree`);
  const lines = fs.readFileSync(file, 'utf8').trim().split('\n');
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'vring-recorded-'));
  for (const line of lines) {
    const [hostPath, entry] = JSON.parse(line) as [string, Entry];
    const target = path.join(directory, hostPath);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    if (entry === null) fs.mkdirSync(target, { recursive: true });
    else if ('link' in entry) fs.symlinkSync(entry.link, target);
    else fs.writeFileSync(target, 'text' in entry ? entry.text : Buffer.from(entry.bytes, 'base64'));
  }
  return {
    root: new HostRoot(directory),
    remove: () => fs.rmSync(directory, { recursive: true, force: true }),
  };
}
