// A machine thread that dies of an exception while its guest waits for the answer to an exit.
import { parentPort, workerData } from 'node:worker_threads';
import { TinyGuest } from './native-guest.ts';

/** loop: out 0x10, al; jmp loop */
const guest = new TinyGuest([0xe6, 0x10, 0xeb, 0xfc], 1, workerData);
guest.native.resumeVcpu(0);
guest.next();
parentPort!.postMessage(guest.native.handle);
throw new Error('a bug in a device model');
