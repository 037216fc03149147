import { afterEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { imageOnFullDisk } from '../support/full-disk.ts';
import { GuestVm } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const engine = new LocalEngine();
afterEach(() => engine.close());

describe.skipIf(noKvm !== null)(onKvm('a disk on a full file system'), () => {
  test('fails its requests, which is logged once and shown until the VM ends', async context => {
    const path = imageOnFullDisk(context, temporaryFolder(), 2 ** 20);
    const guest = await GuestVm.start(engine, { devices: [{ type: 'virtio-blk', path }] });
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

    // Reads go on as before.
    expect(await guest.command('blk read 4k 4 100')).toMatch(/errors=0\b/);
    await engine.kill(guest.id);
    expect(guest.info.diskErrors).toBeUndefined();
  });
});
