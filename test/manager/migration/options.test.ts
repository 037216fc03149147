import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { shellText } from '../../../src/text/shell.ts';
import { GuestVm, resultOf } from '../../support/guest-vm.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { MigrationHost } from '../../support/migration-hosts.ts';
import { VRING } from '../../support/sandbox.ts';
import { emptyDisk } from '../../support/snapshot-rounds.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';

const MB = 2 ** 20;

async function twoHosts(env: Readonly<Record<string, string>> = {}) {
  const folder = temporaryFolder();
  const [a, b] = await Promise.all(['alpha', 'beta'].map(name => MigrationHost.start(folder, name, env)));
  return { folder, a: a!, b: b! };
}

/** A guest that writes much more memory than a slow connection carries. */
async function busyGuest(host: MigrationHost): Promise<GuestVm> {
  const guest = await GuestVm.start(host.engine, { memory: { bytes: 64 * MB } });
  void guest.command('memory 16m').catch(() => {});
  await guest.printed(/> memory 16m\r?\n/);
  return guest;
}

/** It ends with its last command, and everything was right. */
async function checkMemory(guest: GuestVm): Promise<void> {
  await guest.printed(/> memory 16m\r?\n/);
  await guest.interrupt();
  const [, bad] = await guest.printed(/^result memory .*bad=(\d+)/m);
  expect(bad).toBe('0');
}

describe.skipIf(noKvm !== null)(onKvm('a migration'), () => {
  test('of a guest that writes too fast says so, and gives up or stops the guest after a time', {
    timeout: 120_000,
  }, async () => {
    const { a, b } = await twoHosts();
    const guest = await busyGuest(a);
    const slow = { ...b.options, bandwidth: 32 * MB, maxDowntimeMs: 70 };
    await expect(a.engine.migrate('guest', { ...slow, timeoutMs: 3000 })).rejects.toThrow(
      /it has not converged within 3 s: the guest writes memory at [\d.]+ MB\/s, and the connection carries [\d.]+ MB\/s; raise --max-downtime or --bandwidth, reduce the load in the guest, or use --then-pause/,
    );
    expect(a.vm('guest')).toMatchObject({ state: 'running' });
    await until(() => b.vm('guest') === undefined);
    let isFutile = false;
    const unsubscribe = a.engine.subscribe(() => {
      isFutile ||= a.vm('guest')?.task?.migration?.isFutile ?? false;
    });
    const migrated = await a.engine.migrate('guest', { ...slow, timeoutMs: 5000, thenPause: true });
    unsubscribe();
    expect(isFutile).toBe(true);
    expect(a.log('guest').some(text => text.startsWith('the migration does not converge: '))).toBe(true);
    expect(migrated.rounds).toBeGreaterThan(3);
    expect(migrated.totalMs).toBeGreaterThan(5000);
    await checkMemory(GuestVm.of(b.engine, 'guest'));
    expect(guest.id).toBe('guest');
  });

  test.each([
    ['was restored from a snapshot', {}, true],
    ['has mergeable memory', { mergeable: true }, false],
  ])('of a VM that %s keeps all of its memory', { timeout: 60_000 }, async (_, memory, restores) => {
    const { folder, a, b } = await twoHosts();
    const devices = [{ type: 'virtio-blk' as const, path: emptyDisk(folder, 'disk.img') }];
    let guest = await GuestVm.start(a.engine, { memory: { bytes: 64 * MB, ...memory }, devices });
    void guest.command('memory 16m').catch(() => {});
    await guest.printed(/> memory 16m\r?\n/);
    if (restores) {
      await a.engine.snapshot('guest', { name: 'one', disks: true });
      await a.engine.restore('guest', 'one', { force: true });
    }
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const)
      await from.engine.migrate('guest', { ...to.options, maxDowntimeMs: 10_000 });
    guest = GuestVm.of(a.engine, 'guest');
    await checkMemory(guest);
    // It is a VM like any other.
    await a.engine.snapshot('guest', { name: 'two', disks: true });
    await a.engine.restore('guest', 'two', { force: true });
    expect(
      resultOf(await GuestVm.of(a.engine, 'guest').command('blk verify 20'), 'blk-verify'),
    ).toMatchObject({
      bad: 0,
    });
  });

  test('can be followed by an upgrade, a reset and hot plugging', { timeout: 60_000 }, async () => {
    const { folder, a, b } = await twoHosts();
    await GuestVm.start(a.engine, { devices: [{ type: 'virtio-rng' }] });
    await a.engine.migrate('guest', b.options);
    await b.engine.upgrade('guest');
    await b.engine.attach(
      'guest',
      { type: 'virtio-blk', path: emptyDisk(folder, 'more.img') },
      { persist: false },
    );
    await b.engine.migrate('guest', a.options);
    const { topology } = a.vm('guest')!;
    expect(topology!.devices.some(({ type }) => type === 'virtio-blk')).toBe(true);
    await a.engine.reset('guest');
    await until(() => a.log('guest').includes('reset'));
    expect(
      resultOf(await GuestVm.of(a.engine, 'guest').command('blk verify 20'), 'blk-verify'),
    ).toMatchObject({
      bad: 0,
      errors: 0,
    });
  });

  test('refuses what would change the VM in the meantime', { timeout: 60_000 }, async () => {
    const { folder, a, b } = await twoHosts();
    const guest = await busyGuest(a);
    const moving = a.engine.migrate('guest', { ...b.options, bandwidth: 4 * MB, maxDowntimeMs: 50 });
    moving.catch(() => {});
    await until(() => a.vm('guest')?.task?.phase === 'sending');
    await until(() => b.vm('guest')?.task?.kind === 'receive');
    const device = { type: 'virtio-blk' as const, path: emptyDisk(folder, 'more.img') };
    await expect(a.engine.attach('guest', device, { persist: false })).rejects.toThrow(
      'it is being migrated',
    );
    await expect(a.engine.upgrade('guest')).rejects.toThrow('it is being migrated');
    await expect(a.engine.snapshot('guest', { name: 'x', disks: false })).rejects.toThrow(
      'guest is busy: wait for its migration, or cancel it',
    );
    await expect(GuestVm.start(b.engine)).rejects.toThrow(
      'guest is busy: wait for its migration, or cancel it',
    );
    await expect(b.engine.remove('guest')).rejects.toThrow('guest is busy');
    // A pause and a reset are its user's own.
    await a.engine.pause('guest');
    await a.engine.resume('guest');
    await a.engine.cancelTask('guest');
    await expect(moving).rejects.toThrow('it was canceled');
    await checkMemory(guest);
  });

  test('is a command, by SSH or another one, with its progress and its end', {
    timeout: 60_000,
  }, async () => {
    const bin = temporaryFolder();
    const { a, b } = await twoHosts({ PATH: `${bin}:${process.env.PATH}` });
    // Stands for SSH: what it is asked for, and then runs it "there".
    writeFileSync(
      join(bin, 'ssh'),
      `#!/bin/sh\necho "$@" > ${join(bin, 'arguments')}\nexec ${shellText(b.receiver)}\n`,
    );
    chmodSync(join(bin, 'ssh'), 0o755);
    const vring = (...args: string[]) =>
      execa(VRING, ['vm', 'migrate', ...args], { env: a.env, reject: false, stdin: 'ignore' });
    await GuestVm.start(a.engine);
    const usage = await vring('guest');
    expect([usage.exitCode, usage.stderr]).toEqual([2, expect.stringContaining('expected the host')]);
    expect((await vring('guest', '--cancel')).stderr).toContain('guest is not being migrated');
    expect((await vring('guest', 'x', '--then-pause')).exitCode).toBe(2);
    const { stdout, exitCode } = await vring('guest', 'ssh://root@beta:2200', '--as', 'moved');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      /^guest: migrated to ssh:\/\/root@beta:2200 as moved in [\d.]+ s: [\d.]+[KMG] in \d+ rounds; its guest stood still for \d+ ms$/,
    );
    const { stdout: asked } = await execa('cat', [join(bin, 'arguments')]);
    expect(asked).toMatch(/BatchMode=yes .* -p 2200 -- root@beta vring vm receive$/);
    await GuestVm.of(b.engine, 'moved').command('info');
    const alone = await execa(VRING, ['vm', 'receive'], { env: b.env, reject: false, input: '' });
    expect([alone.exitCode, alone.stderr]).toEqual([1, 'vring: the connection to the other host is broken']);
  });

  test('is canceled by another command', { timeout: 60_000 }, async () => {
    const { a, b } = await twoHosts();
    const guest = await busyGuest(a);
    const { command } = b.options;
    const args = [
      'vm',
      'migrate',
      'guest',
      'beta',
      '--command',
      command!,
      '--bandwidth',
      '4M',
      '--max-downtime',
      '50ms',
    ];
    const moving = execa(VRING, args, { env: a.env, reject: false, stdin: 'ignore' });
    await until(() => a.vm('guest')?.task?.phase === 'sending');
    const { stdout } = await execa(VRING, ['vm', 'migrate', 'guest', '--cancel'], { env: a.env });
    expect(stdout).toBe('guest: canceled; it keeps running on this host');
    const { exitCode, stderr } = await moving;
    expect([exitCode, stderr]).toEqual([1, 'vring: it was canceled']);
    await checkMemory(guest);
  });
});
