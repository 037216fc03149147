import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_MSI_ROUTES } from '../../../src/vmm/interrupts/gsi-routing.ts';
import { Interrupts, type InterruptVm } from '../../../src/vmm/interrupts/interrupts.ts';
import type { GsiRoute } from '../../../src/vmm/kvm/vm-fd.ts';
import { drainEventfd, eventfd, signalEventfd } from '../../../src/vmm/native/libc.ts';
import { LocalOwner } from '../../support/local-owner.ts';
import { ManualLoop } from '../../support/manual-loop.ts';

/** Records the calls, as lines. */
class RecordingVm implements InterruptVm {
  readonly log: string[] = [];
  routes: readonly GsiRoute[] = [];

  setGsiRouting(routes: readonly GsiRoute[]): void {
    this.routes = routes;
    this.log.push('routes');
  }
  assignIrqfd(_fd: number, gsi: number, resampleFd?: number): void {
    this.log.push(`assign ${gsi}${resampleFd === undefined ? '' : ' with resample'}`);
  }
  deassignIrqfd(_fd: number, gsi: number): void {
    this.log.push(`deassign ${gsi}`);
  }
  setIrqLine(gsi: number, level: boolean): void {
    this.log.push(`line ${gsi} ${level ? 'up' : 'down'}`);
  }
  signalMsi(message: { readonly data: number }): boolean {
    this.log.push(`msi ${message.data}`);
    return true;
  }
  /** What happened since the last call. */
  take(): string[] {
    return this.log.splice(0);
  }
}

const owner = new LocalOwner();
let vm: RecordingVm;
let loop: ManualLoop;
let interrupts: Interrupts;
let warnings: string[];
beforeEach(() => {
  warnings = [];
  vm = new RecordingVm();
  loop = new ManualLoop();
  interrupts = new Interrupts(vm, loop, owner, text => warnings.push(text));
});
afterEach(() => owner.release());

const message = (data: number) => ({ address: 0xfee0_0000n, data });
const newEventfd = () => owner.ownFd(eventfd());

describe('the pins', () => {
  it('are routed to the 8259s and the IOAPIC, the timer to IOAPIC pin 2', () => {
    const of = (gsi: number) => vm.routes.filter(route => route.gsi === gsi);
    expect(of(0)).toEqual([
      { gsi: 0, irqchip: 0, pin: 0 },
      { gsi: 0, irqchip: 2, pin: 2 },
    ]);
    expect(of(12)).toEqual([
      { gsi: 12, irqchip: 1, pin: 4 },
      { gsi: 12, irqchip: 2, pin: 12 },
    ]);
    expect(of(23)).toEqual([{ gsi: 23, irqchip: 2, pin: 23 }]);
  });

  it('are asserted while any of their lines is', () => {
    vm.take();
    const [first, second] = [interrupts.line(17), interrupts.line(17)];
    first.set(true);
    first.set(true);
    second.set(true);
    first.set(false);
    expect(vm.take()).toEqual(['line 17 up']);
    second.set(false);
    expect(vm.take()).toEqual(['line 17 down']);
  });

  it("are limited to the IOAPIC's", () => {
    expect(() => interrupts.line(24)).toThrow('GSI 24 is not a pin');
  });

  it('accept eventfds of several devices, besides the levels of others', () => {
    vm.take();
    const [first, second] = [interrupts.line(18), interrupts.line(18)];
    const [trigger, resample, edge] = [newEventfd(), newEventfd(), newEventfd()];
    first.connect(trigger, resample);
    second.connect(edge);
    expect(() => first.connect(trigger, resample)).toThrow('drives GSI 18 already');
    second.set(true);
    expect(vm.take()).toEqual(['assign 18 with resample', 'assign 18', 'line 18 up']);
    second.disconnect(trigger);
    expect(vm.take()).toEqual([]);
    second.release();
    second.release();
    expect(vm.take()).toEqual(['deassign 18', 'line 18 down']);
    first.disconnect(trigger);
    expect(vm.take()).toEqual(['deassign 18']);
  });

  it('are held as they were saved until the devices have been loaded', () => {
    const [serial, disk] = [interrupts.line(4), interrupts.line(17)];
    serial.set(true);
    disk.set(true);
    disk.set(false);
    const state = interrupts.save();
    expect(state).toEqual({ lines: Uint8Array.of(4) });
    serial.set(false);
    disk.set(true);
    vm.take();

    interrupts.load(state);
    expect(vm.take()).toEqual(['line 4 up']);
    serial.set(true);
    disk.set(false);
    interrupts.settle();
    expect(vm.take()).toEqual(['line 17 down']);
    expect(interrupts.save()).toEqual(state);
  });

  it('that nothing asserts are deasserted after a load', () => {
    interrupts.load({ lines: Uint8Array.of(9, 20) });
    vm.take();
    interrupts.settle();
    expect(vm.take()).toEqual(['line 9 down', 'line 20 down']);
    expect(() => interrupts.load({ lines: Uint8Array.of(24) })).toThrow('list of GSIs below 24');
    expect(() => interrupts.load({})).toThrow('"lines"');
  });
});

describe('an MSI vector', () => {
  beforeEach(() => vm.take());

  it('becomes an irqfd once its route is in the table, all vectors at once', () => {
    const vectors = [1, 2, 3].map(data => {
      const vector = interrupts.allocateMsi();
      vector.configure(message(data));
      vector.connect(newEventfd());
      return vector;
    });
    expect(vm.take()).toEqual([]);
    loop.run();
    expect(vm.take()).toEqual(['routes', 'assign 24', 'assign 25', 'assign 26']);
    expect(vm.routes.slice(-3)).toEqual([24, 25, 26].map((gsi, i) => ({ gsi, ...message(i + 1) })));
    vectors[0]!.configure(message(9));
    loop.run();
    expect(vm.take()).toEqual(['deassign 24', 'routes', 'assign 24']);
  });

  it('that is masked and unmasked needs no new table', () => {
    const vector = interrupts.allocateMsi();
    vector.connect(newEventfd());
    vector.configure(message(5));
    vector.configure(message(5));
    loop.run();
    vm.take();
    vector.configure(null);
    vector.configure(message(5));
    loop.run();
    expect(vm.take()).toEqual(['deassign 24', 'assign 24']);
  });

  it('serves several eventfds', () => {
    const vector = interrupts.allocateMsi();
    vector.configure(message(5));
    const [first, second] = [newEventfd(), newEventfd()];
    vector.connect(first);
    loop.run();
    vector.connect(second);
    expect(vm.take()).toEqual(['routes', 'assign 24', 'assign 24']);
    vector.disconnect(first);
    vector.configure(null);
    expect(vm.take()).toEqual(['deassign 24', 'deassign 24']);
  });

  it('without a message keeps signals pending, and sends one when it gets a message', () => {
    const vector = interrupts.allocateMsi();
    expect(vector.pending).toBe(false);
    vector.signal();
    vector.signal();
    expect(vector.pending).toBe(true);
    expect(vm.take()).toEqual([]);
    vector.configure(message(7));
    expect(vm.take()).toEqual(['msi 7']);
    expect(vector.pending).toBe(false);
    vector.signal();
    expect(vm.take()).toEqual(['msi 7']);
  });

  it('without a message finds the signals of its eventfds pending', () => {
    const vector = interrupts.allocateMsi();
    const fd = newEventfd();
    vector.connect(fd);
    signalEventfd(fd);
    expect(vector.pending).toBe(true);
    vector.clearPending();
    expect(vector.pending).toBe(false);
    signalEventfd(fd);
    vector.disconnect(fd);
    expect(vector.pending).toBe(true);
    vector.configure(message(1));
    expect(vm.take()).toEqual(['msi 1']);
  });

  it('leaves a signal that arrives before the irqfd in the eventfd, for KVM to find', () => {
    const vector = interrupts.allocateMsi();
    const fd = newEventfd();
    vector.connect(fd);
    vector.configure(message(1));
    signalEventfd(fd);
    loop.run();
    expect(vm.take()).toEqual(['routes', 'assign 24']);
    expect(drainEventfd(fd)).toBe(1n);
  });

  it('that is masked again before the table is applied stays silent', () => {
    const vector = interrupts.allocateMsi();
    vector.connect(newEventfd());
    vector.configure(message(1));
    vector.configure(null);
    loop.run();
    expect(vm.take()).not.toContain('assign 24');
    vector.configure(message(1));
    loop.run();
    expect(vm.take()).toEqual(['assign 24']);
  });
});

describe('GSIs', () => {
  const used = () => {
    const vector = interrupts.allocateMsi();
    vector.connect(newEventfd());
    vector.configure(message(1));
    return vector;
  };

  it('are taken by vectors that have a message and an eventfd, and freed with them', () => {
    const silent = interrupts.allocateMsi();
    silent.configure(message(2));
    silent.signal();
    expect(interrupts.allocatedGsis).toBe(0);
    const [first, second] = [used(), used()];
    loop.run();
    expect(interrupts.allocatedGsis).toBe(2);
    vm.take();
    first.release();
    first.release();
    silent.release();
    expect(vm.take()).toEqual(['deassign 24']);
    expect(interrupts.allocatedGsis).toBe(1);
    expect(() => first.configure(message(3))).toThrow('after its release');

    const third = used();
    loop.run();
    expect(vm.take()).toEqual(['routes', 'assign 24']);
    expect(vm.routes.filter(route => route.gsi >= 24)).toHaveLength(2);
    for (const vector of [second, third]) vector.release();
    expect(interrupts.allocatedGsis).toBe(0);
  });

  it('of a vector that is released before its route is applied get no irqfd', () => {
    vm.take();
    const vector = used();
    vector.release();
    loop.run();
    expect(vm.take()).toEqual([]);
    used();
    loop.run();
    expect(vm.take()).toEqual(['routes', 'assign 24']);
  });

  it('run out: then the machine thread sends the messages, which is reported once', () => {
    const fd = newEventfd();
    const vectors = Array.from({ length: MAX_MSI_ROUTES }, () => {
      const vector = interrupts.allocateMsi();
      vector.configure(message(1));
      vector.connect(fd);
      return vector;
    });
    loop.run();
    // KVM's own limit: entries in the table, pins included.
    expect(vm.routes).toHaveLength(4096);
    expect(warnings).toEqual([]);
    vm.take();

    const eventfds = [newEventfd(), newEventfd()];
    const late = eventfds.map((fd, i) => {
      const vector = interrupts.allocateMsi();
      vector.configure(message(7 + i));
      vector.connect(fd);
      return vector;
    });
    for (const fd of eventfds) signalEventfd(fd);
    loop.run();
    expect(vm.take()).toEqual(['msi 7', 'msi 8']);
    expect(warnings).toEqual([expect.stringContaining('all 4057 interrupt routes')]);

    late[0]!.configure(null);
    signalEventfd(eventfds[0]!);
    loop.run();
    expect(vm.take()).toEqual([]);
    expect(late[0]!.pending).toBe(true);
    vectors[5]!.release();
    vm.take();
    late[0]!.configure(message(9));
    loop.run();
    expect(vm.take()).toEqual(['msi 9', 'routes', 'assign 29']);
    for (const vector of [...vectors, ...late]) vector.release();
    signalEventfd(eventfds[1]!);
    loop.run();
    expect(interrupts.allocatedGsis).toBe(0);
  });
});
