import { expect, test } from 'vitest';
import { ConfigSpace } from '../../../src/devices/pci/config-space.ts';

test('a guest changes only writable bits, and clears clearable ones by writing ones', () => {
  const config = new ConfigSpace();
  config.define(0x40, 4, 0x1111_1111, { writable: 0x0000_ff00, clearable: 0x00ff_0000 });
  config.setU32(0x40, 0xabcd_ef12);
  config.write(0x40, 4, 0x000f_5500);
  expect(config.u32(0x40)).toBe(0xabc0_5512);
  config.write(0x42, 1, 0xff);
  config.write(0x43, 1, 0x00);
  expect(config.u32(0x40)).toBe(0xab00_5512);
  config.reset();
  expect(config.u32(0x40)).toBe(0x1111_1111);
});

test('undefined bytes read as zero and ignore writes', () => {
  const config = new ConfigSpace();
  config.write(0x80, 4, 0xffff_ffff);
  expect(config.read(0x80, 4)).toBe(0);
});

test('capabilities that do not fit are an error of the device model', () => {
  const config = new ConfigSpace();
  for (let i = 0; i < 3; i++) config.addCapability(9, new Uint8Array(60));
  expect(() => config.addCapability(9, new Uint8Array(10))).toThrow(RangeError);
});
