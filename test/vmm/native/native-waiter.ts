// A machine thread that sleeps in `wait` forever: posts its VM's handle, and later the error that freed it.
import { parentPort } from 'node:worker_threads';
import { SystemError } from '../../../src/vmm/native/libc.ts';
import { NativeVm } from '../../../src/vmm/native/native-vm.ts';
import { allocateCounters } from '../../support/counters.ts';

const shape = { vcpus: 1, queues: 0, regions: 0 };
const vm = new NativeVm(allocateCounters(shape), shape);
parentPort!.postMessage(vm.handle);
try {
  vm.wait(null);
} catch (error) {
  parentPort!.postMessage(error instanceof SystemError ? error.code : error);
}
