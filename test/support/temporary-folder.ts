import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

const folders: string[] = [];

const callbacks: (() => void)[] = [];

afterAll(() => {
  for (const callback of callbacks.splice(0)) callback();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** Calls back once the tests of the file are over, while the folders are still there. */
export function beforeRemoval(callback: () => void): void {
  callbacks.push(callback);
}

/** A new, empty folder that is removed after the test file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'vring-test-'));
  folders.push(folder);
  return folder;
}
