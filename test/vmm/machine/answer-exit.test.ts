import { describe, expect, test } from 'vitest';
import { type Bus, PortBus } from '../../../src/devices/bus.ts';
import { EXIT, EXIT_IO } from '../../../src/vmm/kvm/constants.ts';
import { RunPage } from '../../../src/vmm/kvm/run-page.ts';
import { kvmRun, kvmRunIo, kvmRunMmio } from '../../../src/vmm/kvm/structs.ts';
import { answerAccess } from '../../../src/vmm/machine/answer-exit.ts';
import { AddressSpace } from '../../../src/vmm/memory/address-space.ts';
import { UNCOUNTED } from '../../support/counters.ts';

const UNION = kvmRun.offset('exit');
const PORT_DATA = 4096;
const PORT = 0x10;
const ADDRESS = 0xc000_0000;

/** A bus with a device at `start`: what was written to it, and reads that count up from 1. */
function deviceOn<B extends Bus>(bus: B, start: number) {
  const written: number[][] = [];
  let reads = 0;
  bus.claim('device', start, 16, {
    read: () => ++reads,
    write: (offset, size, value) => written.push([offset, size, value]),
  });
  return { bus, written };
}

function machine() {
  const options = { counters: () => UNCOUNTED };
  const ports = deviceOn(new PortBus(options), PORT);
  const memory = deviceOn(new AddressSpace(options), ADDRESS);
  return { buses: { ports: ports.bus, memory: memory.bus }, ports, memory };
}

function portExit(direction: number, size: number, count: number): RunPage {
  const pages = new ArrayBuffer(3 * 4096);
  const bytes = new Uint8Array(pages);
  new DataView(pages).setUint32(kvmRun.offset('exit_reason'), EXIT.IO, true);
  kvmRunIo.write(bytes, { direction, size, port: PORT, count, data_offset: BigInt(PORT_DATA) }, UNION);
  return new RunPage(0n, pages);
}

function memoryExit(isWrite: boolean, length: number, data = new Uint8Array(8)): RunPage {
  const pages = new ArrayBuffer(3 * 4096);
  new DataView(pages).setUint32(kvmRun.offset('exit_reason'), EXIT.MMIO, true);
  const fields = { phys_addr: BigInt(ADDRESS), data, len: length, is_write: Number(isWrite) };
  kvmRunMmio.write(new Uint8Array(pages), fields, UNION);
  return new RunPage(0n, pages);
}

describe('an exit for a port', () => {
  test('of a string instruction reaches the device once per item', () => {
    const { buses, ports } = machine();
    const run = portExit(EXIT_IO.OUT, 2, 3);
    [0x1111, 0x2222, 0x3333].forEach((value, i) => {
      run.data.setUint16(PORT_DATA + 2 * i, value, true);
    });
    expect(answerAccess(run, buses)).toBe(true);
    expect(ports.written).toEqual([
      [0, 2, 0x1111],
      [0, 2, 0x2222],
      [0, 2, 0x3333],
    ]);
  });

  test('of a string instruction that reads gets one value per item, and no more', () => {
    const { buses } = machine();
    const run = portExit(EXIT_IO.IN, 4, 3);
    answerAccess(run, buses);
    expect(new Uint32Array(run.data.buffer, PORT_DATA, 4)).toEqual(Uint32Array.of(1, 2, 3, 0));
  });
});

describe('an exit for memory', () => {
  test('of 8 bytes reaches the device as two accesses of 4, low half first', () => {
    const { buses, memory } = machine();
    answerAccess(memoryExit(true, 8, Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0)), buses);
    expect(memory.written).toEqual([
      [0, 4, 1],
      [4, 4, 2],
    ]);
  });

  test('that reads gets its value in the run page', () => {
    const { buses } = machine();
    const run = memoryExit(false, 4);
    answerAccess(run, buses);
    expect(run.data.getUint32(run.mmioDataOffset, true)).toBe(1);
  });
});

test('an exit of another kind is not handled', () => {
  const run = new RunPage(0n, new ArrayBuffer(3 * 4096));
  run.data.setUint32(kvmRun.offset('exit_reason'), EXIT.SHUTDOWN, true);
  expect(answerAccess(run, machine().buses)).toBe(false);
});
