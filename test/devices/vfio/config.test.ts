import { describe, expect, test } from 'vitest';
import { pciBridge } from '../../../src/devices/pci/pci-bridge.ts';
import { RootPort } from '../../../src/devices/pci/root-port.ts';
import { CAPABILITY_RULES, EXTENDED_RULES } from '../../../src/devices/vfio/capability-table.ts';
import { HostConfig } from '../../../src/devices/vfio/host-config.ts';
import { configOf } from '../../support/fake-host-device.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { graphicsCard, manyMessages } from './made-devices.ts';
import { COMMAND, PassedRig } from './passed-rig.ts';

const GPU = graphicsCard('0000:41:00.0');
const EXPRESS = 0x10;
const names = (rules: readonly { id: number; name: string }[], list: readonly { id: number }[]) =>
  list.map(({ id }) => rules.find(rule => rule.id === id)?.name ?? id);

describe('the tables of capabilities', () => {
  test.each([...CAPABILITY_RULES, ...EXTENDED_RULES])('$name has a reason', ({ why }) => {
    expect(why).toMatch(/^[a-zA-Z].{10,}[^.]$/);
  });

  test('list no capability twice', () => {
    for (const rules of [CAPABILITY_RULES, EXTENDED_RULES]) {
      expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length);
    }
  });
});

describe('the IDs that a guest sees', () => {
  test('are those of the device', () => {
    const { fn } = new PassedRig('nvme');
    expect(fn.readConfig(0, 4)).toBe(0x0010_1b36);
    expect(fn.readConfig(8, 4)).toBe(0x0108_0202);
    expect(fn.readConfig(0x2c, 4)).toBe(0x1100_1af4);
  });

  test('can be overridden', () => {
    const { fn } = new PassedRig('nvme', {
      'x-pci-vendor-id': 0x8086,
      'x-pci-device-id': 0x0953,
      'x-pci-sub-vendor-id': 0x1234,
      'x-pci-sub-device-id': 0x4321,
    });
    expect(fn.readConfig(0, 4)).toBe(0x0953_8086);
    expect(fn.readConfig(0x2c, 4)).toBe(0x4321_1234);
    fn.writeConfig(0, 4, 0);
    expect(fn.readConfig(0, 4)).toBe(0x0953_8086);
  });

  test('must match the definition', () => {
    expect(() => new PassedRig('nvme', { id: '8086:0953' })).toThrow(
      '0000:02:00.0 is a 1b36:0010, not a 8086:0953: devices of the host have moved; give the address that it has now',
    );
    expect(new PassedRig('nvme', { id: '1B36:0010' }).fn.readConfig(0, 2)).toBe(0x1b36);
  });

  test('of a virtual function that has none are taken from the definition', () => {
    const silent = { prepare: ({ config }: { config: Uint8Array }) => config.fill(0xff, 0, 4) };
    expect(new PassedRig('igb-vf', { id: '8086:10ca' }, silent).fn.readConfig(0, 4)).toBe(0x10ca_8086);
    expect(() => new PassedRig('igb-vf', {}, silent)).toThrow('0000:01:10.0 does not answer');
  });

  test('of a bridge are rejected, and the device is given back', () => {
    const machine = new FakeMachine();
    const prepare = ({ config }: { config: Uint8Array }) => config.fill(1, 0x0e, 0x0f);
    expect(() => new PassedRig('nvme', {}, { machine, prepare })).toThrow('0000:02:00.0 is a bridge');
    expect(machine.hostDevices.opened.get('0000:02:00.0')!.closed).toBe(true);
  });
});

describe('capabilities', () => {
  test("of an Ethernet function are linked without the host's", () => {
    const rig = new PassedRig('igb');
    expect(names(CAPABILITY_RULES, rig.capabilities)).toEqual([
      'power management',
      'MSI',
      'MSI-X',
      'PCI Express',
    ]);
    expect(names(EXTENDED_RULES, rig.extendedCapabilities)).toEqual(['advanced error reporting']);
    // Where ARI and SR-IOV are.
    for (let at = 0x140; at < 0x1a0; at += 4) expect(rig.fn.readConfig(at, 4)).toBe(0);
  });

  test("of a graphics card omit the host's", () => {
    const rig = new PassedRig(GPU);
    expect(names(CAPABILITY_RULES, rig.capabilities)).toEqual([
      'power management',
      'MSI',
      'PCI Express',
      'vendor-specific',
      'MSI-X',
    ]);
    expect(rig.extendedCapabilities.map(({ id }) => id)).toEqual([0, 0x04, 0x01, 0x0b]);
    for (const at of [0x104, 0x258, 0x900, 0xbb0, 0xbcc, 0xc14, 0xd00, 0xe00, 0xe10, 0xf00]) {
      expect(rig.fn.readConfig(at, 4)).toBe(0);
      rig.fn.writeConfig(at, 4, 0xffff_ffff);
    }
    expect(rig.host.config.subarray(0xbb4, 0xbc0)).toEqual(configOf(GPU).subarray(0xbb4, 0xbc0));
    expect(rig.host.calls.filter(call => /^config 0x[1-9a-f]..\b/.test(call))).toEqual([]);
  });

  test('of the vendor are read and written in the device', () => {
    const { fn, host } = new PassedRig(GPU);
    expect(fn.readConfig(0xb4, 4)).toBe(0x0114_c809);
    fn.writeConfig(0xb8, 4, 0x1234_5678);
    expect([...host.config.subarray(0xb8, 0xbc)]).toEqual([0x78, 0x56, 0x34, 0x12]);
    expect(fn.readConfig(0x608, 4)).toBe(0xfeed_beef);
    fn.writeConfig(0x60c, 2, 0xabcd);
    expect(host.calls).toContain('config 0x60c cdab');
    // Registers between capabilities, too; but never what links them.
    fn.writeConfig(0xe0, 1, 0x5a);
    expect(host.config[0xe0]).toBe(0x5a);
    fn.writeConfig(0xb4, 2, 0xffff);
    expect(fn.readConfig(0xb4, 2)).toBe(0xc809);
    expect([...host.config.subarray(0xb4, 0xb6)]).toEqual([0x09, 0xc8]);
  });

  test('that are read-only are not written', () => {
    const { fn, host } = new PassedRig('igb');
    const before = host.config.slice(0x104, 0x140);
    expect(fn.readConfig(0x10c, 4)).toBe(0x0046_2030);
    for (let at = 0x104; at < 0x140; at += 4) fn.writeConfig(at, 4, 0xffff_ffff);
    expect(host.config.slice(0x104, 0x140)).toEqual(before);
  });

  test('in a loop end where they began', () => {
    const bytes = new Uint8Array(4096);
    bytes.set([0x10], 0x06);
    bytes.set([0x40], 0x34);
    bytes.set([0x09, 0x50], 0x40);
    bytes.set([0x09, 0x40], 0x50);
    bytes.set([0x01, 0x00, 0x01, 0x10], 0x100);
    const config = new HostConfig(bytes);
    expect(config.capabilities).toEqual([
      { id: 9, at: 0x40, room: 0x10, version: 0 },
      { id: 9, at: 0x50, room: 0xb0, version: 0 },
    ]);
    expect(config.extendedCapabilities).toEqual([{ id: 1, at: 0x100, room: 0xf00, version: 1 }]);
  });
});

describe('PCI Express', () => {
  const type = (rig: PassedRig) => (rig.fn.readConfig(rig.capability(EXPRESS)! + 2, 2) >>> 4) & 0xf;
  const behind = (make: (machine: FakeMachine) => { bridge: RootPort | ReturnType<typeof pciBridge> }) => {
    const machine = new FakeMachine();
    const { bridge } = make(machine);
    return new PassedRig(GPU, {}, { machine, place: ({ pci }) => bridge.secondary.plug(pci!) });
  };
  const port = (machine: FakeMachine) => {
    const bridge = new RootPort('port0', { slot: 1, allocateMsi: machine.services.allocateMsi });
    machine.pci.plug(bridge);
    return { bridge };
  };
  const conventional = (machine: FakeMachine) => {
    const bridge = pciBridge('bridge0');
    machine.pci.plug(bridge);
    return { bridge };
  };

  test('is an integrated endpoint without a link on bus 0', () => {
    const rig = new PassedRig(GPU);
    expect(type(rig)).toBe(0x9);
    const at = rig.capability(EXPRESS)!;
    expect([0x0c, 0x10, 0x2c, 0x30].map(offset => rig.fn.readConfig(at + offset, 4))).toEqual([0, 0, 0, 0]);
  });

  test('is an endpoint with the link of the device behind a port', () => {
    const rig = behind(port);
    expect(type(rig)).toBe(0x0);
    const at = rig.capability(EXPRESS)!;
    // x16 at 32 GT/s, without ASPM and clock power management.
    expect(rig.fn.readConfig(at + 0x0c, 4)).toBe(0x0041_3105);
    expect(rig.fn.readConfig(at + 0x12, 2)).toBe(0x1105);
    // So does the port.
    const { fn } = rig.machine.pci.root.functions.find(({ fn }) => fn instanceof RootPort)!;
    const ports = Array.from({ length: 48 }, (_, i) => 0x40 + 4 * i).find(
      offset => fn.readConfig(offset, 1) === EXPRESS,
    )!;
    expect([fn.readConfig(ports + 0x0c, 2) & 0x3ff, fn.readConfig(ports + 0x12, 2) & 0x3ff]).toEqual([
      0x105, 0x105,
    ]);
    expect(fn.readConfig(ports + 0x2c, 4)).toBe(0x3e);
    rig.fn.writeConfig(at + 0x10, 2, 0xffff);
    expect(rig.host.calls.some(call => call.startsWith('config 0x88'))).toBe(false);
    expect(rig.extendedCapabilities).not.toEqual([]);
  });

  test('is hidden behind a conventional bridge, like extended capabilities', () => {
    const rig = behind(conventional);
    expect(rig.capability(EXPRESS)).toBeNull();
    expect(rig.capabilities.map(({ at }) => at)).toEqual([0x60, 0x68, 0x78, 0xb4, 0xc8]);
    expect(rig.fn.readConfig(0x100, 4)).toBe(0xffff_ffff);
    rig.fn.writeConfig(0x608, 4, 0);
    expect(rig.host.config[0x608]).toBe(0xef);
  });

  test("has the guest's read request size and ordering, and otherwise the host's", () => {
    const rig = new PassedRig(GPU);
    const control = rig.capability(EXPRESS)! + 8;
    rig.fn.writeConfig(control, 2, 0x5fef & ~0x8000);
    expect(rig.fn.readConfig(control, 2)).toBe(0x5def);
    const device = rig.host.config[0x80]! | (rig.host.config[0x81]! << 8);
    expect(device & 0x79f0).toBe(0x5900);
    expect(device & 0x000f).toBe(0x0000);
  });
});

describe('the command register', () => {
  test('is followed: the device decodes before the guest accesses it, and masters the bus while allowed', () => {
    const rig = new PassedRig('nvme');
    const device = () => rig.host.config[4]!;
    expect(device()).toBe(COMMAND.memory);
    rig.start();
    expect(device()).toBe(COMMAND.memory | COMMAND.busMaster);
    rig.command = COMMAND.busMaster;
    expect([device(), rig.mapped(0)]).toEqual([COMMAND.busMaster, []]);
    rig.command = COMMAND.memory;
    expect(device()).toBe(COMMAND.memory);
    rig.command = COMMAND.interruptDisable;
    expect(rig.host.config[5]).toBe(0x04);
  });

  test('does not enable bus mastering behind a bridge that does not forward requests', () => {
    const machine = new FakeMachine();
    const bridge = pciBridge('bridge0');
    machine.pci.plug(bridge);
    const rig = new PassedRig('nvme', {}, { machine, place: ({ pci }) => bridge.secondary.plug(pci!) });
    rig.start();
    expect(rig.host.config[4]! & COMMAND.busMaster).toBe(COMMAND.busMaster);
    bridge.writeConfig(4, 2, COMMAND.memory);
    expect(rig.host.config[4]! & COMMAND.busMaster).toBe(0);
    bridge.writeConfig(4, 2, COMMAND.memory | COMMAND.busMaster);
    expect(rig.host.config[4]! & COMMAND.busMaster).toBe(COMMAND.busMaster);
  });

  test("has the device's status bits, and always a capability list", () => {
    const rig = new PassedRig(manyMessages('0000:05:00.0'));
    rig.host.config.set([0x08, 0x20], 6);
    expect(rig.fn.readConfig(6, 2)).toBe(0x2018);
  });
});
