import { expect, it } from 'vitest';
import { DebugConsole } from '../../../src/devices/legacy/debug-console.ts';
import { DebugExit, IsaDebugExit, PostCode } from '../../../src/devices/legacy/debug-ports.ts';
import { portBus, Requests, writeGarbage } from '../../support/port-device.ts';

it('stops the machine with the code written to the debug exit port', () => {
  const requests = new Requests();
  const bus = portBus(new DebugExit(0xf4, requests.request));
  for (const code of [0, 3, 255]) bus.write(0xf4, 1, code);
  bus.write(0xf4, 4, 0x1234_5607);
  expect(requests.all).toEqual([0, 3, 255, 7].map(code => ({ kind: 'exit', code })));
  expect(bus.read(0xf4, 1)).toBe(0);
});

it("stops the machine like QEMU's isa-debug-exit, through any port of its range", () => {
  const requests = new Requests();
  const bus = portBus(new IsaDebugExit('exit0', 0x501, 2, requests.request));
  bus.write(0x501, 1, 0);
  bus.write(0x502, 1, 3);
  bus.write(0x501, 2, 0x1_00 + 5);
  expect(requests.all).toEqual([1, 7, 11].map(code => ({ kind: 'exit', code })));
  expect(bus.read(0x501, 2)).toBe(0);
});

it('forwards writes to the debug console, which firmware can detect', () => {
  let text = '';
  const bus = portBus(
    new DebugConsole('debugcon0', 0x402, bytes => {
      text += Buffer.from(bytes).toString();
    }),
  );
  for (const byte of Buffer.from('SeaBIOS')) bus.write(0x402, 1, byte);
  expect([text, bus.read(0x402, 1)]).toEqual(['SeaBIOS', 0xe9]);
});

it('keeps the last POST code', () => {
  const device = new PostCode(0x80);
  const bus = portBus(device);
  bus.write(0x80, 1, 0x42);
  expect([bus.read(0x80, 1), device.code]).toEqual([0x42, 0x42]);
  const other = new PostCode(0x80);
  other.load(device.save());
  expect(other.code).toBe(0x42);
  writeGarbage(device);
  device.reset();
  expect(device.code).toBe(0);
});
