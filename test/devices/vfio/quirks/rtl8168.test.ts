import { describe, expect, test } from 'vitest';
import { IRQ } from '../../../../src/devices/vfio/host-device.ts';
import { realtekNic } from '../made-devices.ts';
import { PassedRig } from '../passed-rig.ts';

const [DATA, ADDRESS] = [0x70, 0x74];
const TABLE = 0x0001_0000;
const WRITE = 0x8000_0000;

function started() {
  const rig = new PassedRig(realtekNic('0000:43:00.0'));
  rig.start();
  const write = (offset: number, value: number) => {
    rig.write(2, DATA, value);
    rig.write(2, ADDRESS, (WRITE | TABLE | offset) >>> 0);
  };
  const read = (offset: number) => {
    rig.write(2, ADDRESS, TABLE | offset);
    return rig.read(2, DATA);
  };
  return { rig, write, read };
}

describe('the MSI-X table of an RTL8168', () => {
  test("accessed by registers of BAR 2 is the guest's", () => {
    const { rig, write, read } = started();
    rig.write(4, 0x10, 0xfee0_2000);
    expect(read(0x10)).toBe(0xfee0_2000);
    write(0x14, 0x7);
    expect(rig.read(4, 0x14)).toBe(0x7);
    write(0xf0, 0x1234);
    expect(read(0xf0)).toBe(0);
    // The device has got the data, but no address of its table.
    expect([...rig.host.contents[2]!.subarray(ADDRESS, ADDRESS + 4)]).toEqual([0, 0, 0, 0]);
  });

  test('set up there sends messages', () => {
    const { rig, write } = started();
    const at = rig.capability(0x11)!;
    rig.fn.writeConfig(at + 2, 2, 0x8000);
    write(0x10, 0xfee0_1000);
    write(0x18, 0x41);
    write(0x1c, 0);
    expect(rig.host.triggers[IRQ.msix]!.map(fd => fd !== null)).toEqual([false, true]);
    rig.host.interrupt(IRQ.msix, 1);
    expect(rig.machine.vectors.map(({ sent }) => sent.map(({ data }) => data))[1]).toEqual([0x41]);
  });

  test('reports that an access is done', () => {
    const { rig } = started();
    rig.write(2, ADDRESS, TABLE | 0x10);
    expect(rig.read(2, ADDRESS)).toBe((WRITE | TABLE | 0x10) >>> 0);
    rig.write(2, ADDRESS, (WRITE | TABLE | 0x10) >>> 0);
    expect(rig.read(2, ADDRESS)).toBe(TABLE | 0x10);
  });

  test('does not interfere with other accesses', () => {
    const { rig } = started();
    rig.write(2, DATA, 0x1122_3344);
    rig.write(2, ADDRESS, 0x8000_0123);
    expect([rig.read(2, DATA), rig.read(2, ADDRESS)]).toEqual([0x1122_3344, 0x8000_0123]);
    rig.write(2, ADDRESS, TABLE | 0x10);
    rig.write(2, ADDRESS, 0x456, 2);
    expect(rig.read(2, DATA)).toBe(0x1122_3344);
  });
});
