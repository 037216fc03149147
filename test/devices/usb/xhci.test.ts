import { describe, expect, test } from 'vitest';
import { PORT_STATUS, SPACE, USB_COMMAND, USB_STATUS } from '../../../src/devices/usb/xhci/registers.ts';
import { CODE, CONTROL, TRB } from '../../../src/devices/usb/xhci/trb.ts';
import {
  COMMAND_RING,
  CONTEXT_ARRAY,
  DATA,
  INPUT_CONTEXT,
  KEYBOARD_ENDPOINT,
  XhciRig,
} from '../../support/xhci-rig.ts';

const HALTED = 2;
const STOPPED = 3;
const ERROR = 4;

describe('registers', () => {
  test("report the controller's capabilities", () => {
    const rig = new XhciRig();
    expect(rig.capability('lengthAndVersion')).toBe(0x0110_0040);
    expect(rig.capability('structural1')).toBe(0x0f00_0420);
    expect(rig.capability('doorbells')).toBe(SPACE.doorbells);
    const extended = 4 * (rig.capability('parameters1') >>> 16);
    expect([0, 4, 8].map(at => rig.read(extended + at))).toEqual([0x0200_0002, 0x2042_5355, 0x0f01]);
    expect(rig.controller.pci!.readConfig(0x08, 4)).toBe(0x0c03_3001);
    expect(rig.operational('usbStatus')).toBe(USB_STATUS.halted);
    expect(rig.operational('pageSize')).toBe(1);
  });

  test('narrower reads see their bytes, and narrower writes nothing', () => {
    const { machine, base } = new XhciRig();
    expect(machine.memoryBus.read(base, 1)).toBe(0x40);
    expect(machine.memoryBus.read(base + 2, 2)).toBe(0x0110);
    machine.memoryBus.write(base + SPACE.operational, 1, 1);
    expect(machine.memoryBus.read(base + SPACE.operational, 4)).toBe(0);
  });

  test('run and halt the controller, and a reset reinitializes it', () => {
    const rig = new XhciRig().start();
    expect(rig.operational('usbStatus') & USB_STATUS.halted).toBe(0);
    rig.setOperational('usbCommand', 0);
    expect(rig.operational('usbStatus') & USB_STATUS.halted).toBe(USB_STATUS.halted);
    rig.start();
    rig.setOperational('usbCommand', USB_COMMAND.reset);
    expect(rig.operational('usbCommand')).toBe(0);
    expect(rig.operational('usbStatus')).toBe(USB_STATUS.halted);
    expect(rig.operational('configure')).toBe(0);
  });

  test('reject a restore by the driver, so that it reinitializes', () => {
    const rig = new XhciRig();
    rig.setOperational('usbCommand', USB_COMMAND.restore);
    expect(rig.operational('usbStatus') & USB_STATUS.restoreError).toBe(USB_STATUS.restoreError);
    rig.setOperational('usbCommand', USB_COMMAND.save);
    expect(rig.operational('usbStatus') & USB_STATUS.restoreError).toBe(0);
  });

  test('count microframes', () => {
    const rig = new XhciRig();
    const before = rig.read(SPACE.runtime);
    rig.machine.clock.advance(10);
    expect((rig.read(SPACE.runtime) - before) & 0x3fff).toBe(80);
  });
});

describe('ports', () => {
  test('show what is connected, enable it by a reset, and report both', () => {
    const rig = new XhciRig().start();
    expect(rig.port() & PORT_STATUS.connected).toBe(0);
    const built = rig.plug('usb-kbd');
    expect(rig.port() & (PORT_STATUS.connected | PORT_STATUS.connectChange)).toBe(0x2_0001);
    expect(rig.events()).toMatchObject([
      { type: TRB.portStatusChange, pointer: 1 << 24, code: CODE.success },
    ]);
    rig.resetPort();
    expect(rig.port()).toBe(
      PORT_STATUS.connected |
        PORT_STATUS.enabled |
        PORT_STATUS.power |
        (1 << 10) |
        0x2_0000 |
        PORT_STATUS.resetChange,
    );
    rig.setPort(PORT_STATUS.power | PORT_STATUS.connectChange | PORT_STATUS.resetChange);
    expect(rig.port() & 0xfe_0000).toBe(0);
    rig.controller.bus!.detach!(built);
    expect(rig.port() & (PORT_STATUS.connected | PORT_STATUS.enabled)).toBe(0);
    expect(rig.events().map(({ type }) => type)).toEqual([TRB.portStatusChange, TRB.portStatusChange]);
  });

  test('resume after a suspension on request', () => {
    const rig = new XhciRig().start();
    rig.plug('usb-tablet');
    rig.resetPort();
    const link = () => (rig.port() & PORT_STATUS.linkMask) >> 5;
    rig.setPort(PORT_STATUS.power | PORT_STATUS.linkWrite | (3 << 5));
    expect(link()).toBe(3);
    rig.setPort(PORT_STATUS.power | PORT_STATUS.linkWrite | (15 << 5));
    expect(link()).toBe(15);
    rig.setPort(PORT_STATUS.power | PORT_STATUS.linkWrite);
    expect(link()).toBe(0);
    expect(rig.port() & PORT_STATUS.linkChange).toBe(PORT_STATUS.linkChange);
  });

  test('reach no device while disabled', () => {
    const rig = new XhciRig().start();
    rig.plug('usb-kbd');
    const slot = rig.address();
    rig.setPort(PORT_STATUS.power | PORT_STATUS.enabled);
    expect(rig.port() & PORT_STATUS.enabled).toBe(0);
    expect(rig.control(slot, { type: 0x80, request: 6, value: 0x100, length: 8 })).toBe(
      CODE.transactionError,
    );
  });

  test('number fifteen, each for one device', () => {
    const rig = new XhciRig();
    for (let port = 1; port <= 15; port++) rig.plug('usb-mouse', {}, port);
    expect(() => rig.plug('usb-mouse', {}, 3)).toThrow('mouse0: port 3 of usb0 is taken');
    const another = rig.build('usb-mouse');
    expect(() => rig.controller.bus!.attach(another, null)).toThrow('mouse0: all 15 ports of usb0 are taken');
  });
});

describe('commands', () => {
  test('enable, address, configure, reset and disable a slot', () => {
    const rig = new XhciRig().start();
    rig.plug('usb-kbd');
    const slot = rig.address();
    const state = () => rig.memory.readU32(rig.outputContext(slot) + 12);
    expect([slot, state() >>> 27, state() & 0xff]).toEqual([1, 2, 1]);
    rig.configure(slot, [KEYBOARD_ENDPOINT]);
    expect([state() >>> 27, rig.endpointState(slot, 1), rig.endpointState(slot, 3)]).toEqual([3, 1, 1]);
    expect(rig.command(TRB.resetDevice, { control: slot << 24 }).code).toBe(CODE.success);
    expect([state() >>> 27, rig.endpointState(slot, 3)]).toEqual([1, 0]);
    expect(rig.command(TRB.disableSlot, { control: slot << 24 }).code).toBe(CODE.success);
    expect(state() >>> 27).toBe(0);
    expect(rig.command(TRB.disableSlot, { control: slot << 24 }).code).toBe(CODE.slotNotEnabled);
  });

  test('provide as many slots as the driver enables', () => {
    const rig = new XhciRig().start();
    const slots = Array.from({ length: 8 }, () => rig.command(TRB.enableSlot).slot);
    expect(slots).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(rig.command(TRB.enableSlot)).toMatchObject({ code: CODE.noSlots, slot: 0 });
  });

  test.each([
    ['a port that has nothing', 2, CODE.transactionError],
    ['a port that there is not', 16, CODE.parameterError],
    ['no port', 0, CODE.parameterError],
  ])('do not address a device on %s', (_, port, code) => {
    const rig = new XhciRig().start();
    rig.plug('usb-kbd');
    const { slot } = rig.command(TRB.enableSlot);
    rig.memory.writeU32(CONTEXT_ARRAY + 8, rig.outputContext(slot));
    rig.input(slot, port, 3, [{ endpoint: 1, type: 4, maxPacket: 8 }]);
    expect(rig.command(TRB.addressDevice, { low: INPUT_CONTEXT, control: slot << 24 }).code).toBe(code);
  });

  test('address a device in one slot only', () => {
    const rig = new XhciRig().start();
    rig.plug('usb-kbd');
    rig.address();
    expect(() => rig.address()).toThrow(`addressing gave ${CODE.trbError}`);
  });

  test.each([
    ['a bulk endpoint that goes the other way', { endpoint: 3, type: 2, maxPacket: 64 }],
    ['a control endpoint with another number', { endpoint: 3, type: 4, maxPacket: 64 }],
    ['an isochronous endpoint', { endpoint: 3, type: 5, maxPacket: 64 }],
    ['packets of no bytes', { endpoint: 3, type: 7, maxPacket: 0 }],
    ['packets of more bytes than there are', { endpoint: 3, type: 7, maxPacket: 1025 }],
  ])('reject a context with %s', (_, endpoint) => {
    const rig = new XhciRig().start();
    rig.plug('usb-kbd');
    const slot = rig.address();
    expect(() => rig.configure(slot, [endpoint])).toThrow(`configuring gave ${CODE.parameterError}`);
  });

  test("are rejected if the endpoint's state does not allow them", () => {
    const rig = new XhciRig().start();
    rig.plug('usb-kbd');
    const slot = rig.address();
    const of = (type: number, dci: number) => rig.command(type, { control: (slot << 24) | (dci << 16) }).code;
    expect(of(TRB.resetEndpoint, 1)).toBe(CODE.contextState);
    expect(of(TRB.setDequeue, 1)).toBe(CODE.contextState);
    expect(of(TRB.stopEndpoint, 5)).toBe(CODE.endpointNotEnabled);
    expect(of(TRB.stopEndpoint, 1)).toBe(CODE.success);
    expect(of(TRB.stopEndpoint, 1)).toBe(CODE.contextState);
    expect(rig.endpointState(slot, 1)).toBe(STOPPED);
  });

  test('are rejected if unknown, or for slots that are not enabled', () => {
    const rig = new XhciRig().start();
    expect(rig.command(TRB.noOpCommand).code).toBe(CODE.success);
    expect(rig.command(40).code).toBe(CODE.trbError);
    expect(rig.command(TRB.stopEndpoint, { control: 3 << 24 }).code).toBe(CODE.slotNotEnabled);
    expect(rig.command(TRB.addressDevice, { control: 200 << 24 }).code).toBe(CODE.slotNotEnabled);
  });

  test('wrap around the ring, which stops on request', () => {
    const rig = new XhciRig().start();
    for (let count = 0; count < 200; count++) expect(rig.command(TRB.noOpCommand).code).toBe(CODE.success);
    expect(rig.operational('commandRing')).toBe(8);
    rig.setOperational('commandRing', 2);
    expect(rig.operational('commandRing')).toBe(0);
    expect(rig.events()).toMatchObject([{ code: CODE.commandStopped, pointer: rig.commands.next }]);
  });

  test('in an endless ring of links end with an error', () => {
    const rig = new XhciRig().start();
    rig.memory.writeU32(COMMAND_RING, COMMAND_RING);
    rig.memory.writeU32(COMMAND_RING + 12, (TRB.link << 10) | 1);
    rig.ringDoorbell(0);
    expect(rig.events()).toMatchObject([{ code: CODE.trbError }]);
  });
});

describe('transfers', () => {
  const keyboard = () => {
    const rig = new XhciRig().start();
    const built = rig.plug('usb-kbd');
    const slot = rig.address();
    rig.configure(slot, [KEYBOARD_ENDPOINT]);
    return { rig, built, slot };
  };

  test('return descriptors by control transfers, up to the requested length', () => {
    const { rig, slot } = keyboard();
    const device = rig.control(slot, { type: 0x80, request: 6, value: 0x100, length: 64 });
    expect(device).toEqual(Uint8Array.of(18, 1, 0, 2, 0, 0, 0, 8, 0x27, 6, 1, 0, 0, 1, 1, 2, 3, 1));
    expect(rig.control(slot, { type: 0x80, request: 6, value: 0x100, length: 8 })).toEqual(
      (device as Uint8Array).slice(0, 8),
    );
    expect(rig.control(slot, { type: 0x80, request: 6, value: 0x0600, length: 10 })).toBe(CODE.stall);
    // And it continues.
    expect(rig.control(slot, { type: 0x80, request: 8, length: 1 })).toEqual(Uint8Array.of(1));
  });

  test('reject SET_ADDRESS requests by the driver', () => {
    const { rig, slot } = keyboard();
    expect(rig.control(slot, { type: 0, request: 5, value: 9 })).toBe(CODE.trbError);
    expect(rig.endpointState(slot, 1)).not.toBe(HALTED);
  });

  test('wait for the device, and are returned when the endpoint is stopped', () => {
    const { rig, built, slot } = keyboard();
    const trb = rig.begin(slot, 3, 8);
    expect(rig.events()).toEqual([]);
    const completion = rig.commands.add({ control: (TRB.stopEndpoint << 10) | (slot << 24) | (3 << 16) });
    rig.ringDoorbell(0);
    expect(rig.events()).toMatchObject([
      { type: TRB.transferEvent, pointer: trb, code: CODE.stopped, length: 8, slot, dci: 3 },
      { type: TRB.commandCompletion, pointer: completion, code: CODE.success },
    ]);
    built.capabilities!.keyboard!.key(30, true);
    expect(rig.events()).toEqual([]);
    rig.ringDoorbell(slot, 3);
    expect(rig.events()).toMatchObject([{ pointer: trb, code: CODE.success }]);
  });

  test('of an unplugged device do not complete', () => {
    const { rig, built, slot } = keyboard();
    const trb = rig.begin(slot, 3, 8);
    rig.setPort(PORT_STATUS.power | PORT_STATUS.connectChange);
    rig.controller.bus!.detach!(built);
    expect(rig.events()).toMatchObject([
      { type: TRB.transferEvent, pointer: trb, code: CODE.transactionError },
      { type: TRB.portStatusChange },
    ]);
    expect(rig.endpointState(slot, 3)).toBe(HALTED);
  });

  test('outside memory, and endless links, put the endpoint into the error state', () => {
    for (const words of [
      { low: 0xfff_ff00, status: 8, control: TRB.normal << 10 },
      { low: 0xf_fffc, status: 8, control: TRB.normal << 10 },
      { low: DATA, high: 0x8000_0000, status: 8, control: TRB.normal << 10 },
      { low: DATA, status: 8, control: (TRB.normal << 10) | CONTROL.immediate },
    ]) {
      const { rig, slot } = keyboard();
      const trb = rig.ring(slot, 3).add(words);
      rig.ringDoorbell(slot, 3);
      expect(rig.events()).toMatchObject([{ pointer: trb, code: CODE.trbError, slot, dci: 3 }]);
      expect(rig.endpointState(slot, 3)).toBe(ERROR);
    }
    const { rig, slot } = keyboard();
    const { start } = rig.ring(slot, 3);
    rig.memory.writeU32(start, start);
    rig.memory.writeU32(start + 12, (TRB.link << 10) | 1);
    rig.ringDoorbell(slot, 3);
    expect(rig.events()).toMatchObject([{ code: CODE.trbError }]);
  });

  test('without an end are invalid', () => {
    const { rig, slot } = keyboard();
    const { start } = rig.ring(slot, 3);
    for (let trb = 0; trb < 63; trb++) {
      rig.memory.writeU32(start + 16 * trb, DATA);
      rig.memory.writeU32(start + 16 * trb + 12, (TRB.normal << 10) | CONTROL.chain | 1);
    }
    rig.memory.writeU32(start + 16 * 63, start);
    // The cycle bit stays, so the ring never ends.
    rig.memory.writeU32(start + 16 * 63 + 12, (TRB.link << 10) | CONTROL.chain | 1);
    rig.ringDoorbell(slot, 3);
    expect(rig.events()).toMatchObject([{ code: CODE.trbError, dci: 3 }]);
  });

  test('without an end do not block the machine thread', () => {
    const { rig, slot } = keyboard();
    const { start } = rig.ring(slot, 3);
    rig.memory.writeU32(start + 12, (TRB.noOp << 10) | 1);
    rig.memory.writeU32(start + 16, start);
    rig.memory.writeU32(start + 16 + 12, (TRB.link << 10) | 1);
    const count = () => rig.machine.statistics.get('usb0 transfers')!;
    const before = count();
    rig.ringDoorbell(slot, 3);
    const first = count() - before;
    expect(first).toBeGreaterThan(10);
    expect(first).toBeLessThan(1000);
    rig.machine.clock.advance(1);
    expect(count() - before).toBeGreaterThan(first);
    rig.controller.device.quiesce!(() => {});
    expect(rig.machine.clock.timers).toBe(0);
  });

  test('in a ring outside memory stop the controller', () => {
    const { rig, slot } = keyboard();
    rig.command(TRB.stopEndpoint, { control: (slot << 24) | (3 << 16) });
    rig.command(TRB.setDequeue, { low: 0xf000_0001, control: (slot << 24) | (3 << 16) });
    rig.ringDoorbell(slot, 3);
    expect(rig.operational('usbStatus') & (USB_STATUS.hostError | USB_STATUS.halted)).toBe(
      USB_STATUS.hostError | USB_STATUS.halted,
    );
    expect(rig.operational('usbCommand') & USB_COMMAND.run).toBe(0);
    expect(rig.machine.broken).toEqual([
      'usb0: its driver has given it an address that it cannot reach: no memory at 0xf0000000',
    ]);
  });

  test('stop the controller at its first access if it is not a bus master', () => {
    const { rig } = keyboard();
    rig.controller.pci!.writeConfig(4, 2, 2);
    rig.ringDoorbell(0);
    expect(rig.operational('usbStatus') & USB_STATUS.hostError).toBe(USB_STATUS.hostError);
  });
});

describe('events', () => {
  test('report a full ring once, and lose none', () => {
    const rig = new XhciRig().start();
    const wanted = Array.from({ length: 50 }, () => rig.commands.add({ control: TRB.noOpCommand << 10 }));
    rig.ringDoorbell(0);
    const first = rig.events();
    expect(first.at(-1)).toMatchObject({ type: TRB.hostController, code: CODE.ringFull });
    const rest = rig.events();
    const seen = [...first, ...rest].filter(({ type }) => type === TRB.commandCompletion);
    expect(seen.map(({ pointer }) => pointer)).toEqual(wanted);
  });

  test('assert interrupts until acknowledged, and again for remaining events', () => {
    const rig = new XhciRig().start();
    const isAsserted = () => rig.machine.lines.some(({ level }) => level);
    rig.commands.add({ control: TRB.noOpCommand << 10 });
    rig.ringDoorbell(0);
    expect([isAsserted(), rig.operational('usbStatus') & USB_STATUS.event]).toEqual([true, USB_STATUS.event]);
    rig.setOperational('usbStatus', USB_STATUS.event);
    rig.setInterrupter('management', 3);
    expect(isAsserted()).toBe(false);
    // The driver is busy: no interrupt until it clears EHB.
    rig.commands.add({ control: TRB.noOpCommand << 10 });
    rig.ringDoorbell(0);
    expect(isAsserted()).toBe(false);
    rig.setInterrupter('dequeue', 0x3010 | 8);
    expect(isAsserted()).toBe(true);
    rig.setInterrupter('management', 3);
    rig.events();
    expect(isAsserted()).toBe(false);
  });

  test('send a message for each interrupt by MSI-X', () => {
    const rig = new XhciRig();
    const capability = rig.controller.pci!.readConfig(0x34, 1);
    expect(rig.controller.pci!.readConfig(capability, 1)).toBe(0x11);
    rig.write(SPACE.msixTable, 0xfee0_0000);
    rig.write(SPACE.msixTable + 8, 0x41);
    rig.write(SPACE.msixTable + 12, 0);
    rig.controller.pci!.writeConfig(capability + 2, 2, 0x8000);
    rig.start();
    rig.command(TRB.noOpCommand);
    rig.command(TRB.noOpCommand);
    expect(rig.machine.vectors[0]!.sent).toEqual([
      { address: 0xfee0_0000n, data: 0x41 },
      { address: 0xfee0_0000n, data: 0x41 },
    ]);
    expect(rig.machine.lines.some(({ level }) => level)).toBe(false);
    expect(rig.interrupter('management')).toBe(2);
  });
});
