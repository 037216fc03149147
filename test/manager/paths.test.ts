import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ensurePrivateFolder, managerPaths } from '../../src/manager/paths.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const uid = process.getuid!();
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe('the folders of a manager', () => {
  test.each([
    [{ VRING_RUNTIME_DIR: '/a', VRING_STATE_DIR: '/b', XDG_RUNTIME_DIR: '/tmp' }, 1000, '/a', '/b'],
    [{ XDG_RUNTIME_DIR: '/tmp', XDG_STATE_HOME: '/s', HOME: '/root' }, 0, '/run/vring', '/var/lib/vring'],
    [{ HOME: '/home/anna' }, 1000, '/tmp/vring-1000', '/home/anna/.local/state/vring'],
    [{ HOME: '/home/anna', XDG_STATE_HOME: '/s' }, 1000, '/tmp/vring-1000', '/s/vring'],
    [
      { HOME: '/home/anna', XDG_STATE_HOME: 's', XDG_RUNTIME_DIR: '.' },
      1000,
      '/tmp/vring-1000',
      '/home/anna/.local/state/vring',
    ],
    // Of another user, as su leaves it; or gone.
    [{ XDG_RUNTIME_DIR: '/proc', HOME: '/h' }, 1000, '/tmp/vring-1000', '/h/.local/state/vring'],
    [{ XDG_RUNTIME_DIR: '/nonexistent', HOME: '/h' }, 1000, '/tmp/vring-1000', '/h/.local/state/vring'],
  ])('with %j for user %i', (env, user, runtime, state) => {
    expect(managerPaths(env, user)).toEqual({
      runtime,
      state,
      socket: `${runtime}/control.sock`,
      machines: `${runtime}/machines`,
      log: `${state}/manager.log`,
    });
  });

  test("are in the user's session folder if there is one", () => {
    const session = temporaryFolder();
    // For root, it is the system's folder.
    const user = uid === 0 ? 1000 : uid;
    if (uid === 0) chownSync(session, user, user);
    expect(managerPaths({ XDG_RUNTIME_DIR: session }, user).runtime).toBe(join(session, 'vring'));
  });

  test("are rejected if the socket's path is too long for its address", () => {
    expect(() => managerPaths({ VRING_RUNTIME_DIR: `/${'x'.repeat(100)}` }, 0)).toThrow(
      'too long for a socket',
    );
  });

  test('are created for this user alone', () => {
    const path = join(temporaryFolder(), 'a/b');
    ensurePrivateFolder(path);
    expect(mode(path)).toBe('700');
    chmodSync(path, 0o755);
    ensurePrivateFolder(path);
    expect(mode(path)).toBe('700');
  });

  test('are rejected if others can write to them', () => {
    const path = temporaryFolder();
    chmodSync(path, 0o770);
    expect(() => ensurePrivateFolder(path)).toThrow('others can write to the folder');
  });

  test('are rejected if they are links or files', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'real'));
    symlinkSync(join(folder, 'real'), join(folder, 'link'));
    writeFileSync(join(folder, 'file'), '');
    expect(() => ensurePrivateFolder(join(folder, 'link'))).toThrow('is not a folder');
    expect(() => ensurePrivateFolder(join(folder, 'file'))).toThrow('is not a folder');
    expect(() => ensurePrivateFolder(join(folder, 'file/below'))).toThrow(
      'cannot be created: not a directory (ENOTDIR)',
    );
  });

  test.skipIf(uid !== 0)('are rejected if another user owns them (skipped: needs root)', () => {
    const path = temporaryFolder();
    chownSync(path, 65534, 65534);
    expect(() => ensurePrivateFolder(path)).toThrow(/belongs to user 65534: choose another/);
  });
});
