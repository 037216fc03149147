import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmulatedHost } from './emulated-host.ts';
import { missingForRig } from './tools.ts';

const missing = missingForRig();
if (missing !== null) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== null)('the emulated host', () => {
  let host: EmulatedHost;

  beforeAll(async () => {
    host = await EmulatedHost.boot({ modules: ['kvm-amd'] });
  }, 180_000);

  afterAll(async () => {
    await host?.close();
  });

  test('reports what a script printed and how it ended', async () => {
    expect(await host.run('echo out; echo err >&2; exit 3')).toEqual({
      status: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    });
  });

  test('kills a script that takes too long, and runs the next one', async () => {
    const { status, stdout } = await host.run('echo begun; sleep 600', { seconds: 1 });
    expect({ status, stdout }).toEqual({ status: 137, stdout: 'begun\n' });
    expect(await host.check('echo next')).toBe('next\n');
  });

  test("vring boots Debian's kernel with two vCPUs, a disk and random numbers, until it powers off", async () => {
    const MiB = 2 ** 20;
    await host.check('dd if=/dev/urandom of=/root/disk.img bs=1M count=4');
    const sha256 = (mebibyte: number) =>
      host.check(
        `dd if=/root/disk.img bs=${MiB} skip=${mebibyte} count=1 2>/dev/null | sha256sum | cut -d ' ' -f 1`,
      );
    const before = [await sha256(0), await sha256(1), await sha256(2)];

    const { status, stdout, stderr } = await host.run(
      `vring run /boot/vmlinuz --initrd /boot/guest-initrd --append 'console=ttyS0 quiet panic=-1' \
         --disk /root/disk.img --cpus 2 --memory 512M --name debian`,
      { seconds: 180 },
    );
    const said = new Map(
      [...stdout.matchAll(/guest: (\S+) ?(.*?)\r?\n/g)].map(match => [match[1], match[2]]),
    );
    expect({ status, said: Object.fromEntries(said) }, `${stdout}\n${stderr}`).toEqual({
      status: 0,
      said: {
        cpus: '2',
        'disk-sectors': String((4 * MiB) / 512),
        rng: 'virtio_rng.0',
        random: expect.stringMatching(/^[0-9a-f]{32}$/),
        read: before[0]!.trim(),
        written: expect.stringMatching(/^[0-9a-f]{64}$/),
        'write-status': '0',
        'read-back': said.get('written'),
        done: '',
      },
    });
    const after = [await sha256(0), await sha256(1), await sha256(2)];
    expect(after).toEqual([before[0], `${said.get('written')}\n`, before[2]]);
  }, 240_000);
});
