import path from 'node:path';
import type { HostRoot } from '../root.ts';
import { type Change, type Step, undoBy } from './plan.ts';

export type FileChange = {
  readonly path: string;
  /** Null to remove the file. */
  readonly content: string | null;
  readonly reason: string;
  readonly risk?: string;
  /** A file not written by vring is backed up next to it before the first change. */
  readonly foreign?: boolean;
};

/** The step that writes a file; none if it already has the content. */
export function fileSteps(root: HostRoot, change: FileChange): Step[] {
  const { reason, risk = null } = change;
  const before = root.text(change.path, 16 << 20);
  if (before === change.content) return [];
  const backup = change.foreign && before !== null ? `${change.path}.before-vring` : null;
  const madeBackup = backup !== null && !root.exists(backup) ? [backup] : [];
  const undo: Change[] = [contentChange(root, change.path, before, null)];
  if (madeBackup.length > 0) {
    undo.push({
      action: { kind: 'remove', paths: madeBackup, directory: false },
      expect: madeBackup.map(each => ({ kind: 'exists', path: each, exists: false }) as const),
      within: 0,
    });
  }
  return [
    { ...contentChange(root, change.path, change.content, backup), reason, risk, undo: undoBy(...undo) },
  ];
}

function contentChange(root: HostRoot, file: string, content: string | null, backup: string | null): Change {
  const expect = [{ kind: 'file', path: file, content } as const];
  if (content !== null)
    return { action: { kind: 'file', path: file, content, mode: 0o644, backup }, expect, within: 0 };
  // A directory created for the file is removed with it.
  const directory = !root.exists(path.posix.dirname(file)) || path.posix.dirname(file) === '/etc/vring';
  return { action: { kind: 'remove', paths: [file], directory }, expect, within: 0 };
}
