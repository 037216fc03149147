import { execFileSync } from 'node:child_process';
import { copyFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { imageOnFullDisk } from '../support/full-disk.ts';
import { GuestVm, resultOf } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';

let engine: LocalEngine;
beforeEach(() => {
  engine = new LocalEngine();
});
afterEach(() => engine.close());

const MiB = 2 ** 20;

describe.skipIf(noKvm !== null)(onKvm('a disk on a full file system'), () => {
  test('fails requests, which is logged once and shown until the VM ends', async context => {
    const path = imageOnFullDisk(context, temporaryFolder(), MiB);
    const guest = await GuestVm.start(engine, { devices: [{ type: 'virtio-blk', path, werror: 'report' }] });
    const result = await guest.command('blk write 4k 4 100');
    expect(result).toMatch(/errors=100\b/);

    const trouble = /^blk0: write at sector \d+ failed: ENOSPC \(No space left on device\)/;
    expect(guest.info.diskErrors).toEqual({
      blk0: expect.stringMatching(/^write at sector \d+ failed: ENOSPC/),
    });
    const logged = engine.log().filter(({ text }) => text.includes('ENOSPC'));
    expect(logged).toEqual([
      expect.objectContaining({ level: 'error', vm: guest.id, text: expect.stringMatching(trouble) }),
    ]);

    // Reads still succeed.
    expect(await guest.command('blk read 4k 4 100')).toMatch(/errors=0\b/);
    await engine.kill(guest.id);
    expect(guest.info.diskErrors).toBeUndefined();
  });

  test.each([
    ['raw', 'enospc'],
    ['raw', 'stop'],
    ['qcow2', 'enospc'],
  ])('pauses its VM until there is space and the VM is resumed (%s, werror=%s)', async (format, werror) => {
    const context = { skip: (reason: string) => expect.fail(reason) } as never;
    const raw = imageOnFullDisk(context, temporaryFolder(), MiB);
    const [folder, filler] = [dirname(raw), join(dirname(raw), 'filler')];
    let path = raw;
    if (format === 'qcow2') {
      const made = join(temporaryFolder(), 'disk.qcow2');
      execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', made, '1M']);
      path = join(folder, 'disk.qcow2');
      rmSync(filler);
      copyFileSync(made, path);
      execFileSync('sh', ['-c', 'cat /dev/zero > "$0" 2>/dev/null || true', filler]);
    }
    const guest = await GuestVm.start(engine, { devices: [{ type: 'virtio-blk', path, werror }] });
    const verified = guest.command('blk verify 200');
    const { reason } = await guest.reached('paused');
    expect(reason).toMatch(/^I\/O error: blk0: (write|flush)( at sector \d+)? failed: ENOSPC/);

    // Resuming it has no effect while there is no space.
    await engine.resume(guest.id);
    await until(() => guest.info.state === 'paused');
    execFileSync('mount', ['-o', 'remount,size=8m', folder]);
    await engine.resume(guest.id);
    expect(resultOf(await verified, 'blk-verify')).toMatchObject({ blocks: 200, bad: 0, errors: 0 });
    expect(guest.info).toMatchObject({ state: 'running', reason: null });
    await engine.kill(guest.id);
    if (format === 'qcow2') execFileSync('qemu-img', ['check', path]);
  });

  test('reports no errors to the guest with werror=ignore', async context => {
    const path = imageOnFullDisk(context, temporaryFolder(), MiB);
    const guest = await GuestVm.start(engine, { devices: [{ type: 'virtio-blk', path, werror: 'ignore' }] });
    expect(await guest.command('blk write 4k 4 100')).toMatch(/errors=0\b/);
    expect(guest.info.state).toBe('running');
  });
});
