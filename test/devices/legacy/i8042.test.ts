import { describe, expect, it } from 'vitest';
import { I8042 } from '../../../src/devices/legacy/i8042.ts';
import { FakeLine } from '../../support/fake-line.ts';
import { portBus, Requests, writeGarbage } from '../../support/port-device.ts';

const DATA = 0x60;
const COMMAND = 0x64;

function rig() {
  const keyboardLine = new FakeLine();
  const requests = new Requests();
  const device = new I8042({ dataPort: DATA, commandPort: COMMAND, keyboardLine, request: requests.request });
  const bus = portBus(device);
  const status = () => bus.read(COMMAND, 1);
  return {
    device,
    line: keyboardLine,
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

  it('passes its self test, and has a keyboard port but none for a mouse', () => {
    const controller = rig();
    for (const command of [0xaa, 0xab, 0xa9]) controller.command(command);
    expect(controller.answers()).toEqual([0x55, 0x00, 0x01]);
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
    expect(ask(0xf0, 0x00)).toEqual([0xfa, 0xfa, 0x3c]);
    expect(ask(0xee)).toEqual([0xee]);
    expect(ask(0x12)).toEqual([0xfe]);
    controller.command(0x60);
    controller.data(0x01); // no translation
    expect(ask(0xf2)).toEqual([0xfa, 0xab, 0x83]);
  });

  it('gives an interrupt for each byte, when they are enabled', () => {
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
