import { beforeEach, expect, test } from 'vitest';
import type { DiskErrors } from '../../../src/devices/backends/disk.ts';
import { deviceConfig } from '../../../src/devices/device-config.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { DISK_ERROR_PERIOD } from '../../../src/devices/virtio/disk-errors.ts';
import { FakeBlockBackend } from '../../support/fake-block-backend.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { GuestDriver, VERSION_1 } from './guest-driver.ts';

const ENOSPC = 28;
const EIO = 5;
const full = (sector: number, count = 1): DiskErrors => ({
  access: 'write',
  errno: ENOSPC,
  sector,
  count,
  disk: 0,
});

let machine: FakeMachine;
let backend: FakeBlockBackend;
let driver: GuestDriver;

/** A disk with two queues in use. */
beforeEach(() => {
  machine = new FakeMachine();
  backend = new FakeBlockBackend();
  machine.disk = backend;
  const options = deviceConfig.parse({ type: 'virtio-blk', path: '/disk', queues: 2 });
  machine.pci.plug(deviceTable.create(machine.services, options, 'blk0').pci!);
  machine.pci.assign();
  driver = new GuestDriver(machine, 1);
  driver.negotiate(VERSION_1 | (driver.offered & 0xff_ffffn));
  for (let i = 0; i < 2; i++) driver.queue(i, 16, 0x1000 * (i + 1)).enable();
  driver.driverOk();
});

/** A queue thread has met errors of kinds that it had not reported. */
function fail(queue: number, ...errors: DiskErrors[]): void {
  backend.errors.set(queue, errors);
  backend.running.get(queue)!.options.onDiskErrors();
}

function reports(): string[] {
  return machine.diskErrors.splice(0);
}

test('the first error of each kind is reported with its offset and reason', () => {
  fail(0, full(123), { access: 'read', errno: EIO, sector: 7, count: 3, disk: 0 });
  fail(1, { access: 'flush', errno: EIO, sector: 0, count: 1, disk: 0 });
  fail(1, { access: 'read', errno: 0, sector: 2047, count: 1, disk: 0 });
  expect(reports()).toEqual([
    'blk0: write at sector 123 failed: ENOSPC (No space left on device)',
    'blk0: read at sector 7 failed: EIO (I/O error), and 2 more',
    'blk0: flush failed: EIO (I/O error)',
    'blk0: read at sector 2047 failed: the image has become shorter',
  ]);
});

test('further errors are counted until the period ends, in any queue', () => {
  fail(0, full(1));
  fail(1, full(2, 4));
  expect(reports()).toEqual(['blk0: write at sector 1 failed: ENOSPC (No space left on device)']);
  backend.errorsAgain.set(0, [full(9, 1000)]);
  machine.clock.jump(DISK_ERROR_PERIOD);
  expect(reports()).toEqual([
    'blk0: 1004 more write requests failed within a minute, the first at sector 2: ENOSPC (No space left on device)',
  ]);
  backend.errorsAgain.set(1, [full(3)]);
  machine.clock.jump(DISK_ERROR_PERIOD);
  expect(reports()).toEqual([
    'blk0: 1 more write request failed within a minute, the first at sector 3: ENOSPC (No space left on device)',
  ]);
});

test('after a period without errors, the next one is reported again', () => {
  fail(0, full(1));
  machine.clock.jump(DISK_ERROR_PERIOD);
  machine.clock.jump(DISK_ERROR_PERIOD);
  expect(reports()).toEqual([
    'blk0: write at sector 1 failed: ENOSPC (No space left on device)',
    'blk0: null',
  ]);
  fail(0, full(5));
  expect(reports()).toEqual(['blk0: write at sector 5 failed: ENOSPC (No space left on device)']);
});

test('errors that a queue has not reported when it stops are not lost', () => {
  backend.errors.set(1, [full(8)]);
  driver.status = 0;
  expect(reports()).toEqual(['blk0: write at sector 8 failed: ENOSPC (No space left on device)']);
});

test('a corrupt image is reported, and stays corrupt', () => {
  backend.corruption = 'a data cluster is at 0x7, which is not a valid offset';
  const said =
    'the image is corrupt (a data cluster is at 0x7, which is not a valid offset), and nothing more is written to it: ' +
    'shut the VM down, and repair it with `vring image check --repair`';
  fail(0, { access: 'write', errno: EIO, sector: 8, count: 1, disk: 0 });
  expect(reports()).toEqual([`blk0: write at sector 8 failed: EIO (I/O error); ${said}`]);
  machine.clock.jump(DISK_ERROR_PERIOD);
  expect(reports()).toEqual([`blk0: ${said}`]);
});
