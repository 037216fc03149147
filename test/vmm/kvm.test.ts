import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { hasFeature } from '../../src/vmm/cpu/cpuid-features.ts';
import { loadVcpu, saveVcpu, stateMsrs } from '../../src/vmm/cpu/vcpu-state.ts';
import { loadChips, saveChips } from '../../src/vmm/interrupts/chip-state.ts';
import { Interrupts } from '../../src/vmm/interrupts/interrupts.ts';
import { IRQCHIP, MP_STATE } from '../../src/vmm/kvm/constants.ts';
import { Kvm } from '../../src/vmm/kvm/kvm.ts';
import type { VcpuFd } from '../../src/vmm/kvm/vcpu-fd.ts';
import type { VmFd } from '../../src/vmm/kvm/vm-fd.ts';
import { MachineClock } from '../../src/vmm/machine/machine-clock.ts';
import { drainEventfd, eventfd, signalEventfd } from '../../src/vmm/native/libc.ts';
import { DeviceClock } from '../support/device-clock.ts';
import { openFds } from '../support/fds.ts';
import { inAl, loadEax, movAl, movEax, outAl, storeEax } from '../support/guest-code.ts';
import { LocalOwner } from '../support/local-owner.ts';
import { ManualLoop } from '../support/manual-loop.ts';
import { CODE, run, runOnce, SmallVm } from '../support/small-vm.ts';

const owner = new LocalOwner();
afterEach(() => owner.release());

const noKvm = reasonWithoutKvm();
if (noKvm !== null) console.warn(`skipped: ${noKvm}`);

function reasonWithoutKvm(): string | null {
  try {
    Kvm.open(owner);
    return null;
  } catch (error) {
    return String(error);
  } finally {
    owner.release();
  }
}

const UNUSED = 0xd000_0000;

describe.skipIf(noKvm !== null)('a vCPU on /dev/kvm', () => {
  it('exits for port accesses and memory outside RAM, and uses the responses', () => {
    const small = new SmallVm(owner);
    const vcpu = small.boot('protected32', [
      ...movAl(0x41),
      ...outAl(0x80),
      ...inAl(0x81),
      ...storeEax(UNUSED + 0x10),
      ...loadEax(UNUSED + 0x20),
      ...outAl(0x82),
    ]);
    const { run: page } = vcpu;
    expect(run(vcpu)).toBe('write 1 to port 0x80: 0x41');
    expect(run(vcpu)).toBe('read 1 from port 0x81');
    page.data.setUint8(page.ioDataOffset, 0x77);
    expect(run(vcpu)).toBe('write 4 to memory 0xd0000010: 0x00000077');
    expect(run(vcpu)).toBe('read 4 from memory 0xd0000020');
    page.data.setUint32(page.mmioDataOffset, 0xcafe_f00d, true);
    expect(run(vcpu)).toBe('write 1 to port 0x82: 0x0d');
    expect(page.ioCount).toBe(1);
    expect(vcpu.getRegs()).toMatchObject({ rax: 0xcafe_f00dn, rbx: 0x6000n });
  });

  it('runs 64-bit code from the first instruction', () => {
    const small = new SmallVm(owner);
    const movRaxR8 = [0x49, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8]; // mov r8, imm64
    const vcpu = small.boot('long64', [...movRaxR8, 0x4c, 0x89, 0x04, 0x25, 0, 0, 0x30, 0, ...outAl(0x80)]);
    expect(run(vcpu)).toMatch('to port 0x80');
    expect(small.ram.readU64(0x30_0000)).toBe(0x0807_0605_0403_0201n);
    expect(vcpu.getSregs()).toMatchObject({ cs: { l: 1 }, efer: 0x500n });
  });

  it('returns before the guest when asked to exit at once', () => {
    const small = new SmallVm(owner);
    const vcpu = small.boot('protected32', outAl(0x80));
    vcpu.run.immediateExit = true;
    expect(runOnce(vcpu)).toBe(-constants.errno.EINTR);
    expect(vcpu.getRegs().rip).toBe(BigInt(CODE));
  });

  it('has its configured CPUID', () => {
    const small = new SmallVm(owner);
    small.boot('protected32', [], 2);
    const cpuid = small.vcpus[1]!.getCpuid();
    expect(cpuid.find(entry => entry.function === 1)!.ebx >>> 24).toBe(1);
    expect(hasFeature(cpuid, 'hypervisor')).toBe(true);
  });

  it('starts another vCPU by INIT and SIPI', () => {
    const small = new SmallVm(owner);
    const icr = (value: number) => [...movEax(value), ...storeEax(0xfee0_0300)];
    const toOthers = 0xc_0000;
    const code = [...icr(toOthers | 0x4500), ...icr(toOthers | 0x4608), ...outAl(0x80)];
    const first = small.boot('protected32', code, 2);
    const second = small.vcpus[1]!;
    small.ram.writable(0x8000, 4).set([...movAl(0x5a), ...outAl(0x81)]);
    expect(second.getMpState()).toBe(MP_STATE.UNINITIALIZED);
    expect(run(first)).toMatch('to port 0x80');
    expect(run(second)).toBe('write 1 to port 0x81: 0x5a');
  });

  it('continues in another vCPU from its saved state', () => {
    const from = new SmallVm(owner);
    const vcpu = from.boot('long64', [...movEax(0x1234), ...outAl(0x80), 0xff, 0xc0, ...outAl(0x81)]);
    expect(run(vcpu)).toMatch('to port 0x80');
    vcpu.run.immediateExit = true;
    runOnce(vcpu);
    const state = saveVcpu(vcpu, stateMsrs(from.kvm.msrIndices()));

    const to = new SmallVm(owner);
    to.ram.writable(0, to.ram.size).set(from.ram.readable(0, from.ram.size));
    const copy = to.vm.createVcpu(0);
    loadVcpu(copy, state);
    const loaded = saveVcpu(copy, stateMsrs(to.kvm.msrIndices()));
    expect(withoutTime(loaded)).toEqual(withoutTime(state));
    expect(run(copy)).toBe('write 1 to port 0x81: 0x35');
  });

  it('returns to its power-on state', () => {
    const small = new SmallVm(owner);
    const clock = new MachineClock(new DeviceClock());
    const vcpu = small.boot('long64', [...movEax(0x1234), ...outAl(0x80)]);
    const [state, chips] = [saveVcpu(vcpu, stateMsrs(small.kvm.msrIndices())), saveChips(small.vm, clock)];
    for (let round = 0; round < 2; round++) {
      expect(run(vcpu)).toMatch('to port 0x80');
      small.vm.setIrqLine(20, true);
      loadChips(small.vm, chips, clock);
      loadVcpu(vcpu, state);
      expect(vcpu.getRegs()).toEqual(state.regs);
      expect(small.vm.getIrqchip(IRQCHIP.IOAPIC)).toEqual(chips.ioapic);
    }
  });
});

/** The TSC advances between two reads. */
function withoutTime(state: ReturnType<typeof saveVcpu>) {
  return { ...state, tsc: null };
}

describe.skipIf(noKvm !== null)('memory of a VM on /dev/kvm', () => {
  it('refuses guest writes where it is read-only', () => {
    const small = new SmallVm(owner);
    const [region] = small.ram.regions;
    small.vm.setMemory({ slot: 9, address: 0x4000_0000, size: 4096, host: region!.host, readonly: true });
    const vcpu = small.boot('protected32', storeEax(0x4000_0008));
    expect(run(vcpu)).toMatch('write 4 to memory 0x40000008');
  });

  it('signals an eventfd for a write to a doorbell, without an exit', () => {
    const small = new SmallVm(owner);
    const fd = owner.ownFd(eventfd());
    const doorbell = { fd, space: 'memory', address: UNUSED, length: 0 } as const;
    small.vm.assignIoEvent(doorbell);
    const vcpu = small.boot('protected32', [...storeEax(UNUSED), ...outAl(0x80), ...storeEax(UNUSED)]);
    expect(run(vcpu)).toMatch('to port 0x80');
    expect(drainEventfd(fd)).toBe(1n);
    small.vm.deassignIoEvent(doorbell);
    expect(run(vcpu)).toMatch('write 4 to memory 0xd0000000');
    expect(drainEventfd(fd)).toBe(0n);
  });
});

describe.skipIf(noKvm !== null)('interrupts of a VM on /dev/kvm', () => {
  const VECTOR = 0x41;
  const message = { address: 0xfee0_0000n, data: VECTOR };

  /** A vCPU whose APIC accepts interrupts (software enable, Intel SDM vol. 3 §11.9), in a VM. */
  function withApic(): { vm: VmFd; vcpu: VcpuFd } {
    const small = new SmallVm(owner);
    const vcpu = small.boot('protected32', []);
    const lapic = vcpu.getLapic();
    new DataView(lapic.buffer).setUint32(0xf0, 0x1ff, true);
    vcpu.setLapic(lapic);
    return { vm: small.vm, vcpu };
  }

  /** Whether the APIC has the vector in its request register; clears it. */
  function takeRequest(vcpu: VcpuFd): boolean {
    const lapic = vcpu.getLapic();
    const at = 0x200 + (VECTOR >>> 5) * 0x10;
    const bits = new DataView(lapic.buffer).getUint32(at, true);
    new DataView(lapic.buffer).setUint32(at, bits & ~(1 << (VECTOR & 31)), true);
    vcpu.setLapic(lapic);
    return (bits & (1 << (VECTOR & 31))) !== 0;
  }

  it('reach an APIC as messages; a missing APIC is not an error', () => {
    const { vm, vcpu } = withApic();
    expect(vm.signalMsi(message)).toBe(true);
    expect(takeRequest(vcpu)).toBe(true);
    expect(vm.signalMsi({ ...message, address: 0xfee4_2000n })).toBe(false);
    expect(takeRequest(vcpu)).toBe(false);
  });

  it('reach an APIC from an eventfd, and wait while the vector is masked', async () => {
    const { vm, vcpu } = withApic();
    const loop = new ManualLoop();
    const vector = new Interrupts(vm, loop, owner).allocateMsi();
    const fd = owner.ownFd(eventfd());
    vector.connect(fd);
    vector.configure(message);
    loop.run();
    signalEventfd(fd);
    await expect.poll(() => takeRequest(vcpu)).toBe(true);

    vector.configure(null);
    signalEventfd(fd);
    expect(vector.pending).toBe(true);
    expect(takeRequest(vcpu)).toBe(false);
    vector.configure(message);
    await expect.poll(() => takeRequest(vcpu)).toBe(true);
    expect(vector.pending).toBe(false);
  });

  it('may have any content that the guest chooses', () => {
    const { vm } = withApic();
    const loop = new ManualLoop();
    const interrupts = new Interrupts(vm, loop, owner);
    const garbage = [0n, 1n, 0xdead_beefn, 0xfee0_0000n, 0xfee0_001cn, 0xfeef_f008n, 2n ** 64n - 1n];
    for (const address of garbage) {
      for (const data of [0, 0x100, 0x4500, 0xc741, 0xffff_ffff]) {
        const vector = interrupts.allocateMsi();
        const fd = owner.ownFd(eventfd());
        vector.connect(fd);
        vector.configure({ address, data });
        loop.run();
        vector.signal();
        signalEventfd(fd);
        vector.configure(null);
      }
    }
  });

  it('that arrive before the irqfd are not lost', async () => {
    const { vm, vcpu } = withApic();
    const loop = new ManualLoop();
    const vector = new Interrupts(vm, loop, owner).allocateMsi();
    const fd = owner.ownFd(eventfd());
    signalEventfd(fd);
    vector.connect(fd);
    vector.configure(message);
    loop.run();
    await expect.poll(() => takeRequest(vcpu)).toBe(true);
  });

  it('of a shared level-triggered pin stay asserted until EOI, of which every device is notified', async () => {
    const small = new SmallVm(owner);
    const LEVEL = 1 << 15;
    const ioapic = (register: number, value: number) => [
      ...movEax(register),
      ...storeEax(0xfec0_0000),
      ...movEax(value),
      ...storeEax(0xfec0_0010),
    ];
    const endOfInterrupt = [...movEax(0), ...storeEax(0xfee0_00b0)];
    const vcpu = small.boot('protected32', [
      ...ioapic(0x10 + 2 * 18, LEVEL | VECTOR),
      ...outAl(0x80),
      ...endOfInterrupt,
      ...outAl(0x80),
      ...endOfInterrupt,
      ...outAl(0x80),
    ]);
    const lapic = vcpu.getLapic();
    new DataView(lapic.buffer).setUint32(0xf0, 0x1ff, true);
    vcpu.setLapic(lapic);
    expect(run(vcpu)).toMatch('to port 0x80');

    const interrupts = new Interrupts(small.vm, new ManualLoop(), owner);
    const devices = [1, 2].map(() => {
      const [trigger, resample] = [owner.ownFd(eventfd()), owner.ownFd(eventfd())];
      const line = interrupts.line(18);
      line.connect(trigger, resample);
      return { trigger, resample, line };
    });
    const asserted = () => {
      const requests = new DataView(small.vm.getIrqchip(IRQCHIP.IOAPIC).buffer).getUint32(16, true);
      return (requests & (1 << 18)) !== 0;
    };
    /** Accepts the interrupt like a CPU: from requested to in service. */
    const accept = () => {
      const lapic = vcpu.getLapic();
      const view = new DataView(lapic.buffer);
      const bit = 1 << (VECTOR & 31);
      const at = (VECTOR >>> 5) * 0x10;
      expect(view.getUint32(0x200 + at, true) & bit).toBe(bit);
      view.setUint32(0x200 + at, 0, true);
      view.setUint32(0x100 + at, bit, true);
      vcpu.setLapic(lapic);
    };

    signalEventfd(devices[0]!.trigger);
    await expect.poll(asserted).toBe(true);
    accept();
    expect(run(vcpu)).toMatch('to port 0x80');
    expect(devices.map(({ resample }) => drainEventfd(resample))).toEqual([1n, 1n]);
    expect(asserted()).toBe(false);

    // A level of a third device on the pin outlasts the end of the interrupt, and those of eventfds.
    const third = interrupts.line(18);
    third.set(true);
    signalEventfd(devices[1]!.trigger);
    accept();
    devices[0]!.line.release();
    expect(run(vcpu)).toMatch('to port 0x80');
    expect(devices.map(({ resample }) => drainEventfd(resample))).toEqual([0n, 1n]);
    expect(asserted()).toBe(true);
    third.release();
    expect(asserted()).toBe(false);
  });

  it("reach the pins of the IOAPIC, the timer's is pin 2", () => {
    const { vm } = withApic();
    const interrupts = new Interrupts(vm, new ManualLoop(), owner);
    const requests = () => new DataView(vm.getIrqchip(IRQCHIP.IOAPIC).buffer).getUint32(16, true);
    interrupts.line(0).set(true);
    const line = interrupts.line(17);
    line.set(true);
    expect(requests()).toBe((1 << 2) | (1 << 17));
    line.set(false);
    expect(requests()).toBe(1 << 2);
  });
});

describe.skipIf(noKvm !== null)('a VM that is released', () => {
  it('leaves no fd and no mapping behind', () => {
    const count = () => ({
      fds: openFds(),
      maps: readFileSync('/proc/self/maps', 'utf8').match(/kvm-vcpu|guest-ram/g)?.length ?? 0,
    });
    const before = count();
    for (let round = 0; round < 20; round++) {
      const vcpu = new SmallVm(owner).boot('protected32', outAl(0x80), 2);
      run(vcpu);
      expect(count().maps).toBe(before.maps + 3);
      owner.release();
    }
    expect(count()).toEqual(before);
  });
});
