import { expect, test } from 'vitest';
import { reasonFor } from '../../../src/definitions/libvirt/left-out.ts';

test.each([
  ['domain/devices/sound', 'this version has no sound'],
  ['domain/devices/disk/driver@iothread', 'vring chooses how data is transferred'],
  [
    'domain/devices/disk/iotune/write_bytes_sec_max',
    'limits hold for reads and writes together: use total_iops_sec and total_bytes_sec',
  ],
  ['domain/features/pvspinlock', 'KVM decides it'],
  ['domain/cputune/vcpusched', 'the host places vCPUs, threads and memory'],
  ['domain/qemu:commandline', 'options of QEMU are not read: vring vm create NAME -- OPTIONS takes them'],
  // An unknown element has no reason.
  ['domain/devices/mystery', null],
  ['domain/devices/sound/codec', null],
  ['domain/devices/disk/driver@a/b', null],
  ['domain/constructor', null],
])('%s: %s', (path, reason) => expect(reasonFor(path)).toBe(reason));
