import { beforeEach, expect, test } from 'vitest';
import type { MsiMessage } from '../../../src/devices/device.ts';
import { Msix } from '../../../src/devices/pci/msix.ts';
import { PciFunction } from '../../../src/devices/pci/pci-function.ts';
import { FakeMachine, FakeMsi } from '../../support/fake-machine.ts';

/** Message control of the only capability, at 0x40. */
const CONTROL = 0x42;
const COMMAND = 0x04;
const BUS_MASTER = 0x4;
const ENABLE = 0x8000;
const MASK_ALL = 0x4000;

/** Counts routing changes. */
class CountedMsi extends FakeMsi {
  configured = 0;

  override configure(message: MsiMessage | null): void {
    this.configured++;
    super.configure(message);
  }
}

let fn: PciFunction;
let vectors: CountedMsi[];
let msix: Msix;

beforeEach(() => {
  fn = new PciFunction('dev0', { vendor: 1, device: 1, revision: 0, classCode: 0 });
  const machine = new FakeMachine();
  machine.pci.plug(fn);
  fn.writeConfig(COMMAND, 2, BUS_MASTER);
  vectors = Array.from({ length: 70 }, () => new CountedMsi());
  msix = new Msix(fn, { vectors, bar: 2, tableOffset: 0x1000, pendingOffset: 0x2000 });
});

function unmask(vector: number): void {
  msix.writeTable(16 * vector, 4, 0xfee0_1000);
  msix.writeTable(16 * vector + 8, 4, 0x30 + vector);
  msix.writeTable(16 * vector + 12, 4, 0);
}

test('the capability has the size and location of the table', () => {
  expect(fn.readConfig(CONTROL, 2)).toBe(69);
  expect(fn.readConfig(0x44, 4)).toBe(0x1002);
  expect(fn.readConfig(0x48, 4)).toBe(0x2002);
  fn.writeConfig(CONTROL, 2, 0xffff);
  expect(fn.readConfig(CONTROL, 2)).toBe(ENABLE | MASK_ALL | 69);
});

test('a vector sends its message only while MSI-X is on and nothing masks it', () => {
  unmask(1);
  vectors[1]!.signal();
  fn.writeConfig(CONTROL, 2, ENABLE);
  expect(vectors[1]!.sent).toEqual([{ address: 0xfee0_1000n, data: 0x31 }]);
  msix.writeTable(16 + 4, 4, 0x12);
  vectors[1]!.signal();
  expect(vectors[1]!.sent[1]).toEqual({ address: 0x12_fee0_1000n, data: 0x31 });
  fn.writeConfig(CONTROL, 2, 0);
  vectors[1]!.signal();
  expect(vectors[1]!.sent).toHaveLength(2);
});

test('a function that is not a bus master sends nothing, and pending messages later', () => {
  unmask(1);
  fn.writeConfig(CONTROL, 2, ENABLE);
  fn.writeConfig(COMMAND, 2, 0);
  vectors[1]!.signal();
  expect(vectors[1]!.sent).toEqual([]);
  expect(msix.readPending(0, 4)).toBe(2);
  fn.writeConfig(COMMAND, 2, BUS_MASTER);
  expect(vectors[1]!.sent).toEqual([{ address: 0xfee0_1000n, data: 0x31 }]);
});

test('unused vectors have no routes', () => {
  unmask(0);
  fn.writeConfig(CONTROL, 2, ENABLE);
  fn.writeConfig(CONTROL, 2, ENABLE | MASK_ALL);
  fn.writeConfig(CONTROL, 2, ENABLE | MASK_ALL);
  msix.writeTable(8, 4, 0x99);
  expect(vectors[0]!.configured).toBe(2);
  expect(vectors[1]!.configured).toBe(0);
});

test('narrow and misaligned accesses to the table change at most their own bytes', () => {
  msix.writeTable(16, 4, 0x4433_2211);
  msix.writeTable(17, 1, 0xaa);
  msix.writeTable(18, 2, 0xbbbb);
  expect(msix.readTable(16)).toBe(0xbbbb_aa11);
  msix.writeTable(18, 4, 0);
  msix.writeTable(16 * 70, 4, 1);
  expect(msix.readTable(16)).toBe(0xbbbb_aa11);
  expect(msix.readTable(16 * 70)).toBe(0);
  msix.writeTable(28, 4, 0xffff_fffe);
  expect(msix.readTable(28)).toBe(0);
});

test('pending bits of all vectors are readable with any size', () => {
  vectors[3]!.signal();
  vectors[69]!.signal();
  expect([msix.readPending(0, 4), msix.readPending(4, 4), msix.readPending(8, 4)]).toEqual([8, 0, 0x20]);
  expect([msix.readPending(8, 1), msix.readPending(12, 4), msix.readPending(0xffc, 4)]).toEqual([0x20, 0, 0]);
});

test('a reset masks everything and clears what is pending', () => {
  unmask(0);
  vectors[0]!.signal();
  fn.reset();
  msix.reset();
  expect(vectors[0]!.pending).toBe(false);
  expect(msix.readTable(12)).toBe(1);
  expect(msix.enabled).toBe(false);
});
