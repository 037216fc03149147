import { describe, expect, test } from 'vitest';
import { e1000 } from '../../../src/devices/net/e1000/row.ts';
import { e1000e } from '../../../src/devices/net/e1000e/row.ts';
import { CTRL, RCTL, REG } from '../../../src/devices/net/gigabit/registers.ts';
import { WAKE } from '../../../src/devices/net/gigabit/wake-up.ts';
import { BROADCAST_BYTES, frameTo, MAC_BYTES } from '../../support/nic-rig.ts';
import {
  arp,
  D0,
  D3,
  MULTICAST_BYTES,
  magic,
  OTHER_BYTES,
  PME_EN,
  PME_STATUS,
  WakeDriver,
  WOKEN,
} from '../../support/wake-driver.ts';

const WUC = { APME: 1, PME_EN: 2, PME_STATUS: 4, APMPME: 8 };

class Driver extends WakeDriver {
  read(register: number): number {
    return this.rig.machine.memoryBus.read(this.rig.built.pci!.bars[0]!.address! + 4 * register, 4);
  }

  write(register: number, value: number): void {
    this.rig.machine.memoryBus.write(this.rig.built.pci!.bars[0]!.address! + 4 * register, 4, value >>> 0);
  }

  /** Goes to sleep. @param filters of WUFC */
  sleep(filters: number, enable = PME_EN): this {
    this.write(REG.WUC, WUC.PME_EN);
    this.write(REG.WUFC, filters);
    this.control = D3 | enable;
    return this;
  }

  /** Is in D0 again, where its configuration space is as after a reset. */
  awake(enable: number): void {
    this.control = D0 | enable;
    expect(this.rig.built.pci!.bars[0]!.address).toBe(null);
    this.place();
  }
}

describe.each([e1000, e1000e])('$type', row => {
  describe('wake-up', () => {
    test('the card reports that it supports it, in D0 and D3', () => {
      const driver = new Driver(row);
      expect(driver.capabilities).toBe(0xc822);
      expect(driver.control).toBe(D0);
      expect(driver.rig.built.acpi).toEqual({ assertsPme: true });
    });

    test.each([
      ['a magic packet to the card', WAKE.MAG, magic(MAC_BYTES), frameTo(MAC_BYTES)],
      ['a magic packet to all', WAKE.MAG, magic(BROADCAST_BYTES, 0), magic(BROADCAST_BYTES, 0, OTHER_BYTES)],
      ['a magic packet to a group', WAKE.MAG, magic(MULTICAST_BYTES, 40), magic(OTHER_BYTES)],
      ['a frame to the card', WAKE.EX, frameTo(MAC_BYTES), frameTo(BROADCAST_BYTES)],
      ['a frame to a group', WAKE.MC, frameTo(MULTICAST_BYTES), frameTo(MAC_BYTES)],
      ['a frame to all', WAKE.BC, frameTo(BROADCAST_BYTES), frameTo(MULTICAST_BYTES)],
      ['an ARP request', WAKE.ARP, arp([10, 0, 2, 15]), arp([10, 0, 2, 16])],
      ['an ARP request, and no answer', WAKE.ARP, arp([10, 0, 2, 15]), arp([10, 0, 2, 15], 2)],
    ])('%s', (_, filter, wanted, other) => {
      const driver = new Driver(row);
      driver.write(REG.RCTL, RCTL.EN | RCTL.MPE);
      driver.write(REG.IPAV, 1);
      driver.write(REG.IP4AT, 0x0f02_000a);
      driver.sleep(filter);
      driver.receive(other);
      expect([driver.control, driver.requests]).toEqual([D3 | PME_EN, []]);
      driver.receive(wanted);
      expect([driver.control, driver.requests]).toEqual([D3 | PME_EN | PME_STATUS, [WOKEN]]);
      // Later frames are not kept.
      driver.receive(wanted, wanted);
      expect(driver.requests.length).toBe(1);
      driver.awake(PME_EN);
      expect(driver.read(REG.WUS)).toBe(filter);
      expect(driver.read(REG.WUPL)).toBe(wanted.length);
      expect(driver.read(REG.WUPM)).toBe(new DataView(wanted.buffer).getUint32(0, true));
      expect(driver.read(REG.WUC) & WUC.PME_STATUS).toBe(WUC.PME_STATUS);
      driver.write(REG.WUC, WUC.PME_STATUS);
      driver.write(REG.WUS, 0xffff_ffff);
      expect([driver.control, driver.read(REG.WUS)]).toEqual([D0, 0]);
    });

    test('a link change wakes the machine up', () => {
      const driver = new Driver(row).sleep(WAKE.LNKC);
      driver.receive(magic(MAC_BYTES));
      driver.setLink(false);
      expect([driver.requests, driver.read(REG.WUS)]).toEqual([[WOKEN], WAKE.LNKC]);
    });

    test('nothing wakes the machine up in D0, if disabled, or while events are disabled', () => {
      const driver = new Driver(row);
      driver.write(REG.WUFC, WAKE.MAG | WAKE.EX);
      driver.write(REG.WUC, WUC.PME_EN);
      driver.receive(magic(MAC_BYTES));
      expect(driver.requests).toEqual([]);
      driver.sleep(0).receive(magic(MAC_BYTES));
      expect(driver.requests).toEqual([]);
      driver.sleep(WAKE.MAG, 0).receive(magic(MAC_BYTES));
      expect([driver.requests, driver.control]).toEqual([[], D3 | PME_STATUS]);
      // The event is pending, and PME# follows as soon as it is enabled.
      driver.control = D3 | PME_EN;
      expect(driver.requests).toEqual([WOKEN]);
      driver.control = D3 | PME_EN | PME_STATUS;
      driver.write(REG.WUS, 0xffff_ffff);
      driver.receive(magic(MAC_BYTES));
      expect(driver.requests).toEqual([WOKEN, WOKEN]);
    });

    test('a magic packet after a frame that did not fit wakes the machine up', () => {
      const driver = new Driver(row);
      driver.write(REG.RCTL, RCTL.EN | RCTL.BAM);
      expect(driver.rig.port.receive(frameTo(BROADCAST_BYTES))).toBe(1);
      driver.sleep(WAKE.MAG).receive(magic(MAC_BYTES));
      expect(driver.requests).toEqual([WOKEN]);
    });

    test('APM wake-up works in any power state', () => {
      const driver = new Driver(row);
      expect(driver.read(REG.WUC)).toBe(WUC.APME);
      driver.receive(magic(MAC_BYTES));
      expect([driver.read(REG.WUS), driver.requests]).toEqual([WAKE.MAG, []]);
      driver.write(REG.WUC, WUC.APME | WUC.APMPME | WUC.PME_EN);
      driver.receive(magic(MAC_BYTES));
      expect(driver.requests).toEqual([WOKEN]);
    });

    test('frames that arrive in the meantime are not received, and the driver starts over', () => {
      const driver = new Driver(row);
      driver.write(REG.RDLEN, 128);
      driver.write(REG.RDT, 7);
      driver.write(REG.RCTL, RCTL.EN | RCTL.BAM);
      driver.sleep(WAKE.MAG).receive(frameTo(BROADCAST_BYTES));
      expect(driver.read(REG.RDH)).toBe(0);
      driver.awake(0);
      expect([driver.read(REG.RCTL), driver.read(REG.WUFC)]).toEqual([0, WAKE.MAG]);
    });
  });

  test('state on auxiliary power survives everything except its loss', () => {
    const driver = new Driver(row).sleep(WAKE.MAG);
    const { device, pci } = driver.rig.built;
    driver.receive(magic(MAC_BYTES));
    const isThere = () => {
      driver.place();
      return [driver.control & ~3, driver.read(REG.WUS), driver.read(REG.WUFC)];
    };
    const kept = [PME_EN | PME_STATUS, WAKE.MAG, WAKE.MAG];
    driver.write(REG.CTRL, CTRL.RST);
    expect(isThere()).toEqual(kept);
    pci!.busReset();
    expect(isThere()).toEqual(kept);
    device.resetFromSleep!();
    expect([driver.control & 3, ...isThere()]).toEqual([D0, ...kept]);
    const state = structuredClone(device.save());
    device.reset();
    expect(isThere()).toEqual([0, 0, 0]);
    device.load(state);
    expect(isThere()).toEqual(kept);
    expect(driver.requests.length).toBe(1);
  });
});
