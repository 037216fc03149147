import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readRecords } from '../../../src/manager/machines/machine-record.ts';
import { leavePlace, placesWith, sweepPlaces } from '../../../src/manager/machines/register.ts';
import { managerPaths } from '../../../src/manager/paths.ts';
import { lockVm } from '../../../src/manager/vm-lock.ts';
import { parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import { AF_UNIX, close, connect, listen, SOCK_STREAM, socket } from '../../../src/vmm/native/libc.ts';
import { unixAddress } from '../../../src/vmm/native/unix-socket.ts';
import { isOpen, openFds } from '../../support/fds.ts';
import { withOwnFolders } from '../../support/manager-process.ts';

withOwnFolders();

const take = placesWith(null);
const config = parseMachineConfig({ name: 'web', boot: { kind: 'kernel', path: '/boot/vmlinux' } });
const launch = { config, startedAt: 1000 };
const files = (folder: string) => (existsSync(folder) ? readdirSync(folder).sort() : []);
const held = () => [files(managerPaths().machines), files(join(managerPaths().runtime, 'vms'))];

/** One that may be killed. */
function someProcess(): number {
  return spawn('sleep', ['60'], { stdio: 'ignore' }).pid!;
}

describe('the place of a machine', () => {
  test('has its name, a socket, and a record once its process is known', () => {
    const place = take('web');
    const { listener, token, started } = place.registration!;
    const lock = place.registration!.lock!;
    expect(held()).toEqual([[expect.stringMatching(/^[0-9a-f]{8}\.sock$/)], ['web.lock']]);
    expect(() => take('web')).toThrow(/web is run by process \d+/);
    const machine = someProcess();
    started(machine, launch);
    const { machines, runtime } = managerPaths();
    const [found] = readRecords(machines, () => {});
    expect(found!.record).toMatchObject({ name: 'web', pid: machine, token, startedAt: 1000 });
    expect(statSync(join(machines, `${found!.id}.json`)).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(runtime, 'vms/web.lock'), 'utf8')).toMatch(
      new RegExp(`^process ${machine} of .*: vring: web\n`),
    );
    const path = join(machines, `${found!.id}.sock`);
    listen(listener, 1);
    const client = socket(AF_UNIX, SOCK_STREAM);
    connect(client, path, unixAddress(path));
    close(client);
    place.handedOver();
    expect([isOpen(listener), isOpen(lock)]).toEqual([false, true]);
    place.release();
    expect(held()).toEqual([[], []]);
    expect(isOpen(lock)).toBe(false);
  });

  test('keeps nothing of a successor that could not be recorded', () => {
    const place = take('web');
    place.registration!.started(someProcess(), launch);
    place.handedOver();
    const before = held();
    const { registration, settle } = place.succeed!();
    expect(held()[0]).toHaveLength(3);
    settle(false);
    expect(held()).toEqual(before);
    expect(isOpen(registration!.listener)).toBe(false);
    place.release();
  });

  test('is released completely if it cannot be taken completely', () => {
    const { machines } = managerPaths();
    take('first').release();
    rmSync(machines, { recursive: true });
    writeFileSync(machines, '');
    const fds = openFds();
    expect(() => take('web')).toThrow();
    expect(openFds()).toBe(fds);
    rmSync(machines);
    take('web').release();
  });

  test('is released when its machine is gone, except for a name that another machine has taken', () => {
    const { machines } = managerPaths();
    const place = take('web');
    onTestFinished(() => place.release());
    const id = files(machines)[0]!.slice(0, 8);
    leavePlace(machines, id, 'web');
    expect(held()).toEqual([[], ['web.lock']]);
  });

  test('is cleaned up when both its machine and its manager are gone', () => {
    const paths = managerPaths();
    const live = take('live');
    onTestFinished(() => live.release());
    live.registration!.started(someProcess(), launch);
    const kept = held();
    const vms = join(paths.runtime, 'vms');
    const { record } = readRecords(paths.machines, () => {})[0]!;
    const gone = { ...record, name: 'gone', pid: 2 ** 22 - 1 };
    writeFileSync(join(paths.machines, '00000001.json'), JSON.stringify(gone));
    writeFileSync(join(paths.machines, '00000001.sock'), '');
    writeFileSync(join(paths.machines, '00000002.sock'), '');
    writeFileSync(join(paths.machines, '00000003.json'), 'damaged');
    writeFileSync(join(paths.machines, '.00000004.json.123-0123456789ab.new'), '{');
    for (const name of ['gone', 'taken-only']) writeFileSync(join(vms, `${name}.lock`), '');
    sweepPlaces(paths);
    expect(held()).toEqual(kept);
  });

  test('is absent while there is no folder', () => {
    mkdirSync(managerPaths().runtime, { mode: 0o700 });
    sweepPlaces(managerPaths());
    expect(held()).toEqual([[], []]);
    lockVm('web').release();
  });
});
