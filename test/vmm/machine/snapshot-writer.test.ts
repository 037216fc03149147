import { closeSync, fstatSync, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SnapshotProgress, WrittenSnapshot } from '../../../src/vmm/machine/messages.ts';
import { SnapshotWriter } from '../../../src/vmm/machine/snapshot-writer.ts';
import type { GuestRam } from '../../../src/vmm/memory/guest-ram.ts';
import * as libc from '../../../src/vmm/native/libc.ts';
import type { NativeVm } from '../../../src/vmm/native/native-vm.ts';
import { waitForFds } from '../../../src/vmm/native/unix-socket.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const RAM_BYTES = 2 ** 20;
const folder = temporaryFolder();
const STATE = new TextEncoder().encode('state');

/** A machine that stops on request, and counts its holds. */
function rig() {
  const ramFd = libc.memfdCreate('ram');
  libc.ftruncate(ramFd, RAM_BYTES);
  let holds = 0;
  let stop = () => {};
  let watched: { readonly fd: number; readonly ended: () => void } | null = null;
  const progress: (SnapshotProgress | null)[] = [];
  const block = { name: 'ram-low', address: 0, size: RAM_BYTES, host: 0n, fd: ramFd, offset: 0 };
  const writer = new SnapshotWriter({
    source: {
      quiesce: done => {
        holds++;
        stop = done;
        return () => holds--;
      },
      holdups: () => ['blk0'],
      save: () => ({
        state: STATE,
        cpu: { vendor: 'v', features: [] },
        places: { rootPorts: [], devices: [] },
      }),
      ram: { blocks: [block], size: RAM_BYTES, below: null } as unknown as GuestRam,
      disks: () => [],
    },
    native: { handle: 0 } as NativeVm,
    loop: {
      watch: (fd, ended) => {
        watched = { fd, ended: () => ended(1) };
        return () => {
          watched = null;
        };
      },
      at: () => () => {},
      now: () => 0n,
    },
    progress: each => progress.push(each),
  });
  const files = ['state', 'ram', 'sums'].map(name => {
    writeFileSync(join(folder, name), '');
    return openSync(join(folder, name), 'r+');
  });
  truncateSync(join(folder, 'ram'), RAM_BYTES);
  const answers: [string | null, WrittenSnapshot | null][] = [];
  return {
    writer,
    files,
    progress,
    answers,
    take: (hold = false) => writer.take({ disks: [], hold }, files, (...answer) => answers.push(answer)),
    stop: () => stop(),
    holds: () => holds,
    finish: () => {
      const { fd, ended } = watched!;
      expect(waitForFds([{ fd }], 10_000)).toEqual([fd]);
      ended();
    },
  };
}

const isOpen = (fd: number) => {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
};

describe('a writer of snapshots', () => {
  it('holds the machine until everything is copied, and resumes it', () => {
    const { take, stop, holds, finish, answers, progress, files } = rig();
    take();
    expect(progress).toEqual([{ done: 0, total: 0, written: 0, waitingFor: ['blk0'] }]);
    expect([holds(), answers]).toEqual([1, []]);
    stop();
    expect(holds()).toBe(1);
    finish();
    expect(holds()).toBe(0);
    expect(answers).toMatchObject([[null, { stateBytes: STATE.length, disks: [], cloned: [] }]]);
    expect(readFileSync(join(folder, 'state'))).toEqual(Buffer.from(STATE));
    expect(progress.at(-1)).toBeNull();
    expect(files.some(isOpen)).toBe(false);
  });

  it('resumes the machine when it is canceled, whether it has stopped or not', () => {
    for (const stopped of [false, true]) {
      const { writer, take, stop, holds, answers, files } = rig();
      take();
      if (stopped) stop();
      writer.cancel('its manager is gone');
      expect(holds()).toBe(0);
      expect(answers).toEqual([['its manager is gone', null]]);
      expect(files.some(isOpen)).toBe(false);
      // Too late.
      stop();
      expect(answers).toHaveLength(1);
    }
  });

  it('leaves the machine stopped if requested, until it is released or its manager is gone', () => {
    const { writer, take, stop, holds, finish, answers } = rig();
    take(true);
    stop();
    finish();
    expect(answers[0]![0]).toBeNull();
    expect([holds(), writer.busy]).toEqual([1, 'a snapshot of it is being taken']);
    writer.cancel('its manager is gone');
    expect([holds(), writer.busy]).toEqual([0, null]);
  });

  it('takes one at a time, with all its files', () => {
    const { writer, take, holds, answers, files } = rig();
    writer.take({ disks: [3], hold: false }, [], (...answer) => answers.push(answer));
    expect(answers.pop()![0]).toContain('did not reach the machine');
    take();
    const more = openSync('/dev/null', 'r');
    writer.take({ disks: [], hold: false }, [more], (...answer) => answers.push(answer));
    expect(answers).toEqual([['another snapshot of it is being taken', null]]);
    expect([holds(), isOpen(more)]).toEqual([1, false]);
    writer.cancel('enough');
    for (const fd of files) if (isOpen(fd)) closeSync(fd);
  });
});
