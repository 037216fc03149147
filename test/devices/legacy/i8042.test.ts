import { describe, expect, it } from 'vitest';
import { BUTTON } from '../../../src/devices/input/input-event.ts';
import { KEY } from '../../../src/devices/input/key-codes.ts';
import { I8042 } from '../../../src/devices/legacy/i8042.ts';
import { DeviceClock } from '../../support/device-clock.ts';
import { FakeLine } from '../../support/fake-line.ts';
import { portBus, Requests, writeGarbage } from '../../support/port-device.ts';

const DATA = 0x60;
const COMMAND = 0x64;

function rig() {
  const keyboardLine = new FakeLine();
  const mouseLine = new FakeLine();
  const clock = new DeviceClock();
  const requests = new Requests();
  const device = new I8042({
    ...{ dataPort: DATA, commandPort: COMMAND, keyboardLine, mouseLine, clock },
    request: requests.request,
  });
  const bus = portBus(device);
  const status = () => bus.read(COMMAND, 1);
  return {
    device,
    line: keyboardLine,
    mouseLine,
    clock,
    requests,
    status,
    command: (value: number) => bus.write(COMMAND, 1, value),
    data: (value: number) => bus.write(DATA, 1, value),
    /** Reads the output buffer for as long as the status says it is full. */
    answers: () => {
      const bytes: number[] = [];
      while (status() & 1) bytes.push(bus.read(DATA, 1));
      return bytes;
    },
    /** Sends bytes to the mouse. @returns its replies */
    mouse: (...bytes: number[]) => {
      const replies: number[] = [];
      for (const byte of bytes) {
        bus.write(COMMAND, 1, 0xd4);
        bus.write(DATA, 1, byte);
        while (status() & 1) replies.push(bus.read(DATA, 1));
      }
      return replies;
    },
  };
}

describe('i8042', () => {
  it('resets the machine through a pulse on the reset line and through the output port', () => {
    const controller = rig();
    controller.command(0xff);
    expect(controller.requests.all).toEqual([]);
    controller.command(0xfe);
    controller.command(0xd1);
    controller.data(0xfe);
    expect(controller.requests.all).toEqual([{ kind: 'reset' }, { kind: 'reset' }]);
  });

  it('passes its self-test and those of both ports', () => {
    const controller = rig();
    for (const command of [0xaa, 0xab, 0xa9]) controller.command(command);
    expect(controller.answers()).toEqual([0x55, 0x00, 0x00]);
  });

  it('stores the existing bits of the mode', () => {
    const controller = rig();
    controller.command(0x60);
    controller.data(0xff);
    controller.command(0x20);
    expect(controller.answers()).toEqual([0x77]);
    controller.command(0xae);
    controller.command(0x20);
    expect(controller.answers()).toEqual([0x67]);
  });

  it('has a keyboard that drivers detect', () => {
    const controller = rig();
    const ask = (...bytes: number[]) => {
      for (const byte of bytes) controller.data(byte);
      return controller.answers();
    };
    expect(ask(0xff)).toEqual([0xfa, 0xaa]);
    expect(ask(0xf2)).toEqual([0xfa, 0xab, 0x41]);
    expect(ask(0xed, 0x07)).toEqual([0xfa, 0xfa]);
    expect(ask(0xf0, 0x00)).toEqual([0xfa, 0xfa, 0x41]);
    expect(ask(0xee)).toEqual([0xee]);
    expect(ask(0x12)).toEqual([0xfe]);
    controller.command(0x60);
    controller.data(0x01); // no translation
    expect(ask(0xf2)).toEqual([0xfa, 0xab, 0x83]);
  });

  it('interrupts for each byte if interrupts are enabled', () => {
    const controller = rig();
    controller.data(0xff);
    expect(controller.line.edges).toBe(1);
    controller.answers();
    expect([controller.line.edges, controller.line.level]).toEqual([2, false]);
    controller.command(0x60);
    controller.data(0x00);
    controller.data(0xff);
    expect(controller.line.level).toBe(false);
  });

  it('continues in another machine from its saved state', () => {
    const controller = rig();
    controller.data(0xed);
    controller.command(0x60);
    const other = rig();
    other.device.load(controller.device.save());
    expect(other.line.level).toBe(true);
    other.data(0x41);
    expect(other.answers()).toEqual([0xfa]);
    other.data(0x07);
    expect(other.answers()).toEqual([0xfa]);
    expect(other.device.keyboard.leds).toEqual({ scrollLock: true, numLock: true, capsLock: true });
  });

  it('loads the state of a version without a mouse', () => {
    const controller = rig();
    const old = {
      keyboardCommand: 0,
      replies: Uint8Array.of(0xfa, 0xaa),
      mode: 0x65,
      pending: 0,
      lastWasCommand: 0,
    };
    controller.device.load(old);
    expect(controller.answers()).toEqual([0xfa, 0xaa]);
  });

  it('translates keyboard data to scan code set 1, or passes it through', () => {
    const controller = rig();
    const { keyboard } = controller.device;
    const strike = (...keys: number[]) => {
      for (const key of keys) keyboard.key(key, true);
      for (const key of keys.toReversed()) keyboard.key(key, false);
      return controller.answers();
    };
    expect(strike(KEY.a)).toEqual([0x1e, 0x9e]);
    expect(strike(KEY.leftctrl, KEY.rightalt, KEY.delete)).toEqual([
      ...[0x1d, 0xe0, 0x38, 0xe0, 0x53],
      ...[0xe0, 0xd3, 0xe0, 0xb8, 0x9d],
    ]);
    expect(strike(KEY.pause)).toEqual([0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]);
    expect(strike(KEY.sysrq)).toEqual([0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa]);
    controller.command(0x60);
    controller.data(0x01); // no translation
    expect(strike(KEY.a)).toEqual([0x1c, 0xf0, 0x1c]);
    expect(strike(KEY.left)).toEqual([0xe0, 0x6b, 0xe0, 0xf0, 0x6b]);
    controller.data(0xf0);
    controller.data(0x01);
    expect(controller.answers()).toEqual([0xfa, 0xfa]);
    expect(strike(KEY.rightctrl)).toEqual([0xe0, 0x1d, 0xe0, 0x9d]);
  });

  it('answers a command before pending keys, and loses no key', () => {
    const controller = rig();
    controller.device.keyboard.key(KEY.a, true);
    controller.command(0x20);
    expect(controller.answers()).toEqual([0x65, 0x1e]);
    controller.command(0xad);
    controller.device.keyboard.key(KEY.a, false);
    expect([controller.status() & 1, controller.line.level]).toEqual([0, false]);
    controller.command(0xae);
    expect(controller.line.level).toBe(true);
    expect(controller.answers()).toEqual([0x9e]);
  });

  it('raises IRQ 12 for the mouse', () => {
    const controller = rig();
    controller.command(0x60);
    controller.data(0x47);
    expect(controller.mouse(0xf4)).toEqual([0xfa]);
    expect([controller.mouseLine.edges, controller.line.edges]).toEqual([1, 0]);
    controller.device.mouse.point({ kind: 'button', code: BUTTON.left, down: true });
    expect([controller.status() & 0x21, controller.mouseLine.level]).toEqual([0x21, true]);
    controller.device.keyboard.key(KEY.b, true);
    expect(controller.answers()).toEqual([0x09, 0x30, 0, 0]);
    controller.command(0xd3);
    controller.data(0x5a);
    expect(controller.status() & 0x21).toBe(0x21);
    expect(controller.answers()).toEqual([0x5a]);
    controller.command(0xa7);
    controller.device.mouse.point({ kind: 'motion', dx: 1, dy: 1 });
    expect(controller.status() & 1).toBe(0);
  });

  it('survives garbage writes, and works again after a reset', () => {
    const controller = rig();
    writeGarbage(controller.device);
    controller.device.reset();
    expect([controller.line.level, controller.status()]).toEqual([false, 0x14]);
    controller.command(0xaa);
    expect(controller.answers()).toEqual([0x55]);
  });
});
