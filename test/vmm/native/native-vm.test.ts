import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { VCPU, VCPU_STATE } from '../../../src/vmm/counters/counters.ts';
import { EXIT } from '../../../src/vmm/kvm/constants.ts';
import { EVENT } from '../../../src/vmm/native/abi.ts';
import { shutDownAllVms } from '../../../src/vmm/native/end-vms.ts';
import * as libc from '../../../src/vmm/native/libc.ts';
import { destroyVm, NativeVm } from '../../../src/vmm/native/native-vm.ts';
import { allocateCounters } from '../../support/counters.ts';
import { holdings } from '../../support/holdings.ts';
import { until } from '../../support/until.ts';
import { TinyGuest, threadNames, tinyGuestCounters } from './native-guest.ts';

/** loop: in al, 0x11; out 0x10, al; jmp loop */
const ECHO = [0xe4, 0x11, 0xe6, 0x10, 0xeb, 0xfa];
/** jmp self */
const SPIN = [0xeb, 0xfe];
const SHAPE = { vcpus: 1, queues: 0, regions: 0 };

const vms: NativeVm[] = [];
afterEach(() => {
  for (const vm of vms.splice(0)) vm.destroy();
});

function bareVm(): NativeVm {
  const vm = new NativeVm(allocateCounters(SHAPE), SHAPE);
  vms.push(vm);
  return vm;
}

function guest(code: readonly number[], vcpus = 1): TinyGuest {
  const guest = new TinyGuest(code, vcpus);
  vms.push(guest.native);
  return guest;
}

describe('the reactor', () => {
  it('reports an fd for as long as it is readable, or writable if requested', () => {
    const vm = bareVm();
    const fd = vm.ownFd(libc.eventfd(0));
    vm.watchFd(fd, 7);
    expect(vm.poll()).toBe(0);
    vm.watchFd(fd, 7, true);
    expect([vm.poll(), vm.eventKind(0), vm.eventToken(0)]).toEqual([1, EVENT.fd, 7]);
    vm.watchFd(fd, 7);
    expect(vm.poll()).toBe(0);
    libc.signalEventfd(fd);
    expect([vm.poll(), vm.poll()]).toEqual([1, 1]);
  });

  it('reports a watched eventfd with its token and count, and drains it', () => {
    const vm = bareVm();
    const fd = vm.ownFd(libc.eventfd(3));
    vm.watchEventFd(fd, 2 ** 40 + 5);
    expect(vm.wait(null)).toBe(1);
    expect([vm.eventKind(0), vm.eventToken(0), vm.eventAux(0)]).toEqual([EVENT.fd, 2 ** 40 + 5, 3]);
    expect(vm.poll()).toBe(0);
    vm.unwatch(fd);
    libc.signalEventfd(fd);
    expect(vm.poll()).toBe(0);
    expect(() => vm.unwatch(fd)).toThrow('vring_unwatch: ENOENT');
  });

  it('closes only what it owns', () => {
    const vm = bareVm();
    const fd = vm.ownFd(libc.eventfd());
    vm.closeFd(fd);
    expect(() => libc.signalEventfd(fd)).toThrow('EBADF');
    expect(() => vm.closeFd(fd)).toThrow('ENOENT');
  });

  it('returns EBADF for a dead handle', () => {
    const vm = bareVm();
    vm.destroy();
    vm.destroy();
    expect(() => vm.poll()).toThrow('vring_wait: EBADF');
    expect(() => vm.resumeVcpu(0)).toThrow('EBADF');
  });
});

describe.each([
  ['on a thread of its own', false],
  ['on the waiting thread', true],
])('a vCPU %s', (_, carried) => {
  const guest = (code: readonly number[]) => {
    const guest = new TinyGuest(code, 1, tinyGuestCounters(), carried);
    vms.push(guest.native);
    return guest;
  };

  it('posts its exits, and continues with the responses', () => {
    const { native, vcpus } = guest(ECHO);
    const run = vcpus[0]!.run;
    native.resumeVcpu(0);
    const written: number[] = [];
    for (let exits = 0; exits < 20; exits++) {
      expect(native.wait(2_000_000_000n)).toBe(1);
      expect([native.eventKind(0), native.eventIndex(0), native.eventData(0)]).toEqual([
        EVENT.exit,
        0,
        EXIT.IO,
      ]);
      if (run.ioIsWrite) written.push(run.data.getUint8(run.ioDataOffset));
      else run.data.setUint8(run.ioDataOffset, 40 + exits);
      native.completeVcpu(0);
    }
    expect(written).toEqual([40, 42, 44, 46, 48, 50, 52, 54, 56, 58]);
  });

  it('counts exits, time and latency', () => {
    const tiny = guest(ECHO);
    tiny.native.resumeVcpu(0);
    for (let exits = 0; exits < 10; exits++) {
      tiny.next();
      tiny.native.completeVcpu(0);
    }
    tiny.next();
    expect(tiny.vcpuCounter(VCPU.exits + EXIT.IO)).toBe(10);
    expect(tiny.vcpuCounter(VCPU.entries)).toBe(11);
    expect(tiny.vcpuCounter(VCPU.state)).toBe(VCPU_STATE.waiting);
    expect(tiny.vcpuCounter(VCPU.exitNs + EXIT.IO)).toBe(tiny.vcpuCounter(VCPU.deviceNs));
    expect(tiny.vcpuCounter(VCPU.runNs)).toBeGreaterThan(0);
    const histogram = Array.from({ length: 32 }, (_, bucket) => tiny.vcpuCounter(VCPU.latency + bucket));
    expect(histogram.reduce((sum, count) => sum + count)).toBe(10);
  });

  it('adds the time of a response, once, to the given words', () => {
    const tiny = guest(ECHO);
    const [first, last] = [tiny.layout.address(0), tiny.layout.words - 1];
    const answer = (...timed: number[]) => {
      tiny.next();
      tiny.native.timedWords.set(timed);
      tiny.native.completeVcpu(0);
    };
    tiny.native.resumeVcpu(0);
    answer(first, last);
    answer();
    answer(0, tiny.layout.words);
    tiny.next();
    const ns = tiny.counters[first]!;
    expect(ns).toBeGreaterThan(0n);
    expect(tiny.counters[last]).toBe(ns);
    // The time includes no more than the exit itself.
    if (carried) expect(ns).toBeLessThan(BigInt(tiny.vcpuCounter(VCPU.deviceNs)));
  });

  it('pauses while in the guest, and resumes', () => {
    const { native, vcpus, ...tiny } = guest(SPIN);
    native.resumeVcpu(0);
    native.pauseVcpu(0);
    expect(native.wait(2_000_000_000n)).toBe(1);
    expect(native.eventKind(0)).toBe(EVENT.parked);
    expect(vcpus[0]!.getRegs().rip).toBe(0x1000n);
    native.pauseVcpu(0);
    native.poll();
    expect(native.eventKind(0)).toBe(EVENT.parked);
    native.resumeVcpu(0);
    expect(native.wait(20_000_000n)).toBe(0);
    // Nor does it keep the waiting thread from a deadline.
    expect(native.wait(null, process.hrtime.bigint() + 20_000_000n)).toBe(0);
    expect(tiny.counters[tiny.layout.vcpu(0) + VCPU.state]).toBe(BigInt(VCPU_STATE.running));
  });

  it('completes the instruction of a pending exit before it parks', () => {
    const tiny = guest(ECHO);
    const { run } = tiny.vcpus[0]!;
    tiny.native.resumeVcpu(0);
    expect(tiny.next().kind).toBe(EVENT.exit);
    tiny.native.pauseVcpu(0);
    expect(tiny.native.wait(20_000_000n)).toBe(0);
    run.data.setUint8(run.ioDataOffset, 0x5a);
    tiny.native.completeVcpu(0);
    expect(tiny.next().kind).toBe(EVENT.parked);
    const regs = tiny.vcpus[0]!.getRegs();
    expect([regs.rip, regs.rax & 0xffn]).toEqual([0x1002n, 0x5an]);
  });

  it('ends on request: running, waiting or parked', () => {
    const ended = { kind: EVENT.vcpuEnded, index: 0, data: 0, aux: 0 };
    const parked = guest(ECHO);
    parked.native.stopVcpu(0);
    expect(parked.next()).toEqual(ended);
    expect(() => parked.native.pauseVcpu(0)).toThrow('ESRCH');

    const waiting = guest(ECHO);
    waiting.native.resumeVcpu(0);
    expect(waiting.next().kind).toBe(EVENT.exit);
    waiting.native.stopVcpu(0);
    expect(waiting.next()).toEqual(ended);

    const spinning = guest(SPIN);
    spinning.native.resumeVcpu(0);
    expect(spinning.native.wait(10_000_000n)).toBe(0);
    spinning.native.stopVcpu(0);
    expect(spinning.next()).toEqual(ended);
  });
});

describe('a vCPU', () => {
  it('can be started again after it has ended, but not twice', () => {
    const tiny = guest(ECHO);
    const vcpu = tiny.vcpus[0]!;
    expect(() => tiny.native.startVcpu(0, vcpu.fd, vcpu.run)).toThrow('EBUSY');
    tiny.native.stopVcpu(0);
    tiny.next();
    tiny.native.startVcpu(0, vcpu.fd, vcpu.run);
    tiny.native.resumeVcpu(0);
    expect(tiny.next().kind).toBe(EVENT.exit);
  });

  it('ends with the errno when KVM refuses to run it', () => {
    const tiny = guest(ECHO);
    const notKvm = tiny.native.ownFd(libc.eventfd());
    const run = tiny.vcpus[0]!.run;
    tiny.native.startVcpu(1, notKvm, run);
    tiny.native.resumeVcpu(1);
    expect(tiny.next()).toEqual({ kind: EVENT.vcpuEnded, index: 1, data: 25, aux: 0 });
    expect(tiny.native.vcpuError(1)).toContain('Inappropriate ioctl');
  });

  it('refuses invalid indices', () => {
    const tiny = guest(ECHO);
    const { fd, run } = tiny.vcpus[0]!;
    expect(() => tiny.native.startVcpu(2, fd, run)).toThrow('EINVAL');
    expect(() => tiny.native.startVcpu(1, fd, { address: 0n, size: 4096 })).toThrow('EINVAL');
    expect(() => tiny.native.startVcpu(1, fd, run, 4000)).toThrow('EINVAL');
    expect(() => tiny.native.completeVcpu(0)).toThrow('EALREADY');
  });
});

describe('destroying a VM', () => {
  it('leaves no thread, fd or mapping, whatever its vCPUs are doing', () => {
    const cycle = () => {
      const tiny = guest(ECHO, 2);
      tiny.native.resumeVcpu(0);
      tiny.next();
      tiny.native.destroy();
    };
    cycle();
    const before = holdings();
    for (let cycles = 0; cycles < 20; cycles++) cycle();
    expect(holdings()).toEqual(before);
  });

  it('names its threads', async () => {
    guest(SPIN, 2);
    // Each names itself when it starts to run.
    await until(() => ['vring-vcpu0', 'vring-vcpu1'].every(name => threadNames().includes(name)));
  });

  it('wakes a machine thread that sleeps in wait on another thread', async () => {
    const machine = new Worker(new URL('./native-waiter.ts', import.meta.url));
    const messages: unknown[] = [];
    await new Promise<void>((resolve, reject) => {
      machine.on('error', reject);
      machine.on('message', message => {
        messages.push(message);
        if (messages.length === 1) setTimeout(() => destroyVm(message as number), 50);
        else resolve();
      });
    });
    expect(messages[1]).toBe('ECANCELED');
  });

  it('cleans up after a machine thread that died in the middle of an exit', async () => {
    const counters = tinyGuestCounters();
    const before = holdings();
    const machine = new Worker(new URL('./native-dying-machine.ts', import.meta.url), {
      workerData: counters,
    });
    let handle = -1;
    let error: unknown = null;
    machine.on('message', message => {
      handle = message;
    });
    machine.on('error', reason => {
      error = reason;
    });
    await new Promise(resolve => machine.on('exit', resolve));
    expect(String(error)).toContain('a bug in a device model');
    expect(threadNames()).toContain('vring-vcpu0');
    expect(holdings().mappings.length).toBeGreaterThan(before.mappings.length);
    destroyVm(handle);
    expect(threadNames()).not.toContain('vring-vcpu0');
    expect(holdings().mappings).toEqual(before.mappings);
  });

  it('ends every VM of an exiting process, and keeps memory mapped for threads that are still running', () => {
    const tiny = guest(ECHO);
    const other = guest(ECHO);
    tiny.native.resumeVcpu(0);
    tiny.next();
    shutDownAllVms();
    expect(tiny.ram.readU16(0x1000)).toBe(0x11e4);
    expect(tiny.vcpus[0]!.run.exitReason).toBe(EXIT.IO);
    expect(threadNames()).not.toContain('vring-vcpu0');
    expect(() => tiny.native.poll()).toThrow('ECANCELED');
    expect(() => other.native.poll()).toThrow('ECANCELED');
  });
});
