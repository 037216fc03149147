import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { defineGuest, definitionFile, vring } from '../../support/cli.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { attached, startManager, withOwnFolders } from '../../support/manager-process.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

withOwnFolders();

const attach = (...args: string[]) => vring('vm', 'attach', 'web', ...args);
const detach = (...args: string[]) => vring('vm', 'detach', 'web', ...args);
const definition = () => readFileSync(definitionFile('web'), 'utf8');

async function startWeb() {
  defineGuest('web');
  startManager();
  const engine = await attached();
  await engine.restart('web');
  return engine;
}

describe.skipIf(noKvm !== null)(onKvm('vring vm detach'), () => {
  test('fails if the guest cannot be asked', async () => {
    await startWeb();
    await attach('--device', 'virtio-rng,id=extra');
    expect(await detach('extra', '--wait', '0')).toMatchObject({
      status: 0,
      stdout: 'web: the guest was asked to release extra',
    });
    expect(await detach('nosuch', '--wait', '0')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('the VM has no device "nosuch"'),
    });
    expect(await detach('com1', '--wait', '0')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('it cannot be unplugged'),
    });
    // Nothing waits for the guest then.
    expect((await detach('extra', '--force', '--wait', '0')).stdout).toBe('web: extra is detached');
  });

  test('--persist detaches nothing that is not in the definition', async () => {
    const engine = await startWeb();
    await attach('--device', 'virtio-rng,id=extra');
    expect(await detach('extra', '--force', '--persist')).toMatchObject({
      status: 1,
      stderr: 'vring: extra is not in the definition of web: leave out --persist',
    });
    expect(engine.vms()[0]!.topology!.devices.some(({ name }) => name === 'extra')).toBe(true);
  });

  test('removes a device from the definition even if it has already left the VM', async () => {
    await startWeb();
    const before = definition();
    await attach('--device', 'virtio-rng,id=extra', '--persist');
    expect(definition()).toContain('extra');
    await detach('extra', '--force');
    expect(await detach('extra', '--persist')).toMatchObject({ status: 0, stderr: '' });
    expect(definition()).toBe(before);
    expect((await detach('extra', '--persist')).stderr).toContain('has no device "extra"');
  });
});

describe.skipIf(noKvm !== null)(onKvm('vring vm attach'), () => {
  test('reports that a device is attached if only the definition rejects it', async () => {
    await startWeb();
    const disk = join(temporaryFolder(), 'disk.img');
    writeFileSync(disk, Buffer.alloc(4096));
    writeFileSync(definitionFile('web'), `${definition()}disks: [{ file: ${disk} }]\n`);
    const { status, stderr } = await attach('--disk', disk, '--id', 'data', '--persist');
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^vring: data is attached, but not in the definition: .*already used by disks\[0\]/,
    );
    expect((await detach('data', '--force')).status).toBe(0);
  });

  test('reports when the guest will see it', async () => {
    const engine = await startWeb();
    const place = ['--bus', 'pci.0', '--addr'];
    expect((await attach('--device', 'virtio-rng', ...place, '10.1')).stdout).toContain(
      'The guest scans the slot once its function 0 is attached.',
    );
    expect((await attach('--device', 'virtio-rng', ...place, '10.0')).stdout).toContain(
      'it finds the device on its next scan',
    );
    await engine.save('web');
    expect((await attach('--device', 'virtio-rng,id=extra')).stdout).toContain(
      'web is saved, and resumes without extra',
    );
  });
});

test('a disk that cannot be opened does not get into the definition of a VM that is off', async () => {
  defineGuest('web');
  const before = definition();
  const folder = temporaryFolder();
  const missing = join(folder, 'missing.img');
  const odd = join(folder, 'odd.img');
  writeFileSync(odd, 'x');
  const refused = {
    [missing]: `disk ${missing} does not exist: create it with`,
    [odd]: `disk ${odd} has 1 bytes, not a multiple of 512`,
    [folder]: `disk ${folder} is a directory: give an image file`,
    '/dev/zero': 'disk /dev/zero is a character device: give an image file',
  };
  const eachIsRefused = async () => {
    for (const [disk, why] of Object.entries(refused))
      expect(await attach('--disk', `${disk},format=raw`)).toMatchObject({
        ...{ status: 1, stdout: '' },
        stderr: expect.stringContaining(why),
      });
    expect(definition()).toBe(before);
  };
  await eachIsRefused();
  startManager();
  await attached();
  await eachIsRefused();
});

test('devices are added to and removed from the definition of a VM that is off without a manager', async () => {
  defineGuest('web');
  const before = definition();
  expect(await attach('--device', 'virtio-rng,id=extra')).toEqual({
    ...{ status: 0, stderr: '' },
    stdout: 'web is off: extra is in its definition, for its next start',
  });
  expect(definition()).toContain('name: extra');
  const disk = join(temporaryFolder(), 'disk.img');
  writeFileSync(disk, Buffer.alloc(4096));
  expect((await attach('--disk', `${disk},format=raw`)).status).toBe(0);
  expect(await vring('vm', 'limit', 'web', 'blk0', '--iops', '500')).toMatchObject({
    status: 1,
    stderr: 'vring: web is off: with --persist, its definition gets the limits, for its next start',
  });
  expect((await vring('vm', 'limit', 'web', 'blk0', '--iops', '500', '--persist')).status).toBe(0);
  expect(definition()).toMatch(/limits:\n +iops: 500/);
  expect((await vring('vm', 'limit', 'web', 'blk0')).stdout).toBe(
    'web is off: limits of blk0 at its next start: 500 requests/s',
  );
  expect(await detach('blk0')).toEqual({
    ...{ status: 0, stderr: '' },
    stdout: 'web is off: blk0 is no longer in its definition',
  });
  expect((await detach('extra', '--cancel')).stderr).toContain('web is off: its guest has not been asked');
  expect((await detach('extra')).status).toBe(0);
  expect(definition()).toBe(before);
  expect((await detach('extra')).stderr).toContain('has no device "extra"');
  expect((await vring('vm', 'detach', 'wbe', 'extra')).stderr).toContain('there is no VM wbe');
  expect((await vring('manager')).stdout).toBe('no manager is running');
});
