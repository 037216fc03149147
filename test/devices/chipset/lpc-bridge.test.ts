import { describe, expect, test } from 'vitest';
import { LpcBridge, rootComplexRegisters, smiRegisters } from '../../../src/devices/chipset/lpc-bridge.ts';
import { PirqRouter } from '../../../src/devices/chipset/pirq-router.ts';
import { ApmPorts, Port92 } from '../../../src/devices/chipset/reset-ports.ts';
import type { MachineRequest } from '../../../src/devices/device.ts';
import { FakeWire } from '../../support/fake-line.ts';

function bridge() {
  const seen = {
    pm: null as number | null,
    rcba: null as number | null,
    routes: [] as readonly (number | null)[],
  };
  const made = new LpcBridge({
    onPmBase: port => Object.assign(seen, { pm: port }),
    onRcba: address => Object.assign(seen, { rcba: address }),
    onRoutes: routes => Object.assign(seen, { routes }),
  });
  return { made, seen };
}

describe('the LPC bridge', () => {
  test('maps the power management ports where firmware puts them, once it enables them', () => {
    const { made, seen } = bridge();
    expect(made.readConfig(0x00, 4)).toBe(0x2918_8086);
    made.writeConfig(0x40, 4, 0xffff_0600);
    expect(made.readConfig(0x40, 4)).toBe(0x0601);
    expect(seen.pm).toBeNull();
    made.writeConfig(0x44, 1, 0x80);
    expect(seen.pm).toBe(0x600);
    made.writeConfig(0x40, 2, 0xb07f);
    expect(seen.pm).toBe(0xb000);
    made.reset();
    expect(seen.pm).toBeNull();
  });

  test('maps the root complex registers where firmware puts them', () => {
    const { made, seen } = bridge();
    made.writeConfig(0xf0, 4, 0xfed1_ffff);
    expect(seen.rcba).toBe(0xfed1_c000);
    made.writeConfig(0xf0, 4, 0xfed1_c000);
    expect(seen.rcba).toBeNull();
  });

  test('routes interrupts to ISA interrupts that can be shared', () => {
    const { made, seen } = bridge();
    expect(made.readConfig(0x60, 4)).toBe(0x8080_8080);
    made.writeConfig(0x60, 4, 0x0d8b_0b0a);
    // 13 is the coprocessor's.
    expect(seen.routes).toEqual([10, 11, null, null]);
  });

  test('reports that SMIs are set up, and that there is no watchdog timer', () => {
    smiRegisters.write(0, 4, 0);
    expect(smiRegisters.read(0, 4)).toBe(0x20);
    expect(smiRegisters.read(4, 4)).toBe(0);
    rootComplexRegisters.write(0x3410, 4, 0);
    expect(rootComplexRegisters.read(0x3410, 4)).toBe(0x20);
    expect(rootComplexRegisters.read(0x3411, 2)).toBe(0);
  });
});

describe('the PIRQ router', () => {
  test('asserts the IOAPIC pin, and the ISA interrupt that a pin is routed to', () => {
    const wires = Array.from({ length: 24 }, () => new FakeWire());
    const levels = () => wires.flatMap(({ level }, gsi) => (level ? [gsi] : []));
    const router = new PirqRouter(16, gsi => wires[gsi]!.end());
    const [a, b, other] = [router.line(16), router.line(17), router.line(17)];
    a.set(true);
    expect(levels()).toEqual([16]);
    router.route([10, 10, null, null]);
    expect(levels()).toEqual([10, 16]);
    b.set(true);
    b.set(true);
    other.set(true);
    a.set(false);
    expect(levels()).toEqual([10, 17]);
    router.route([10, 11, 10, null]);
    expect(levels()).toEqual([11, 17]);
    b.set(false);
    expect(levels()).toEqual([11, 17]);
    other.release();
    expect(levels()).toEqual([]);
    expect(wires[17]!.ends.size).toBe(1);
  });
});

describe('the ports of the board', () => {
  test('port 0x92 resets when bit 0 rises', () => {
    const requests: MachineRequest[] = [];
    const port = new Port92(request => requests.push(request));
    expect(port.handler.read(0, 1)).toBe(2);
    port.handler.write(0, 1, 0);
    expect(requests).toEqual([]);
    port.handler.write(0, 1, 3);
    port.handler.write(0, 1, 3);
    expect(requests).toEqual([{ kind: 'reset' }]);
    const other = new Port92(() => {});
    other.load(port.save());
    expect(other.handler.read(0, 1)).toBe(3);
  });

  test('the APM ports store a command and a status', () => {
    const ports = new ApmPorts();
    ports.handler.write(0, 2, 0x1234);
    expect(ports.handler.read(0, 2)).toBe(0x1234);
    const other = new ApmPorts();
    other.load(ports.save());
    expect(other.save()).toEqual(ports.save());
    ports.reset();
    expect(ports.handler.read(0, 2)).toBe(0);
  });
});
