import { describe, expect, test } from 'vitest';
import { CONFIG1, CONFIG3, CONFIG5, MODE, RCR, REG } from '../../../src/devices/net/rtl8139/registers.ts';
import { rtl8139 } from '../../../src/devices/net/rtl8139/row.ts';
import { BROADCAST_BYTES, frameTo, MAC_BYTES } from '../../support/nic-rig.ts';
import {
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

const ALL = RCR.physicalMatch | RCR.multicast | RCR.broadcast;
const RECEIVE = 0x08;

class Driver extends WakeDriver {
  constructor() {
    super(rtl8139);
  }

  /** Has the card wake the machine up by what these registers say, and puts it to sleep. */
  sleep({
    config1 = CONFIG1.power as number,
    config3 = 0,
    config5 = 0,
    filter = ALL,
    enable = PME_EN,
  }): this {
    const { rig } = this;
    rig.out(REG.rcr, 4, filter);
    for (let at = 0; at < 8; at++) rig.out(REG.mar + at, 1, 0xff);
    rig.out(REG.cr9346, 1, MODE.configure);
    rig.out(REG.config1, 1, config1);
    rig.out(REG.config3, 1, config3);
    rig.out(REG.config5, 1, config5);
    rig.out(REG.cr9346, 1, MODE.normal);
    this.control = D3 | enable;
    return this;
  }
}

describe('wake-up', () => {
  test('a magic packet after a frame that did not fit wakes the machine up', () => {
    const driver = new Driver();
    driver.rig.out(REG.rcr, 4, ALL);
    driver.rig.out(REG.cr, 1, RECEIVE);
    const frames = Array.from({ length: 100 }, () => frameTo(MAC_BYTES, 1500));
    expect(driver.rig.port.receive(...frames)).toBeGreaterThan(0);
    driver.sleep({ config3: CONFIG3.magic }).receive(magic(MAC_BYTES));
    expect(driver.requests).toEqual([WOKEN]);
  });

  test('the card reports that it supports it', () => {
    const driver = new Driver();
    expect(driver.capabilities & 0xf800).toBe(0xc800);
    expect(driver.control).toBe(D0 | 0x8);
    expect(driver.rig.built.acpi).toEqual({ assertsPme: true });
  });

  test.each([
    ['a magic packet to the card', { config3: CONFIG3.magic }, magic(MAC_BYTES), frameTo(MAC_BYTES)],
    [
      'a magic packet to all',
      { config3: CONFIG3.magic },
      magic(BROADCAST_BYTES, 0),
      magic(BROADCAST_BYTES, 0, OTHER_BYTES),
    ],
    ['a magic packet that is for the card', { config3: CONFIG3.magic }, magic(MAC_BYTES), magic(OTHER_BYTES)],
    ['a frame to the card', { config5: CONFIG5.unicast }, frameTo(MAC_BYTES), frameTo(BROADCAST_BYTES)],
    ['a frame to a group', { config5: CONFIG5.multicast }, frameTo(MULTICAST_BYTES), frameTo(MAC_BYTES)],
    ['a frame to all', { config5: CONFIG5.broadcast }, frameTo(BROADCAST_BYTES), frameTo(MULTICAST_BYTES)],
  ])('%s', (_, enabled, wanted, other) => {
    const driver = new Driver().sleep(enabled);
    driver.receive(other);
    expect([driver.control & ~0x8, driver.requests]).toEqual([D3 | PME_EN, []]);
    driver.receive(wanted);
    expect([driver.control & ~0x8, driver.requests]).toEqual([D3 | PME_EN | PME_STATUS, [WOKEN]]);
    driver.receive(wanted);
    expect(driver.requests.length).toBe(1);
    driver.control = D0 | PME_STATUS;
    expect(driver.control & ~0x8).toBe(D0);
  });

  test('a restored link wakes the machine up, its loss does not', () => {
    const driver = new Driver().sleep({ config3: CONFIG3.linkUp });
    driver.setLink(false);
    expect(driver.requests).toEqual([]);
    driver.setLink(true);
    expect(driver.requests).toEqual([WOKEN]);
  });

  test.each([
    ['nothing is enabled', {}],
    ['power management is off', { config1: 0, config3: CONFIG3.magic }],
    ['the filter lets no broadcasts pass', { config3: CONFIG3.magic, filter: RCR.physicalMatch }],
  ])('nothing wakes the machine up while %s', (_, enabled) => {
    const driver = new Driver().sleep(enabled);
    driver.receive(magic(BROADCAST_BYTES));
    driver.setLink(false);
    driver.setLink(true);
    expect([driver.control & ~0x8, driver.requests]).toEqual([D3 | PME_EN, []]);
  });

  test('nothing wakes the machine up in D0, or while events are disabled', () => {
    const driver = new Driver().sleep({ config3: CONFIG3.magic, enable: 0 });
    driver.control = D0 | PME_EN;
    driver.receive(magic(MAC_BYTES));
    expect(driver.requests).toEqual([]);
    driver.control = D3;
    driver.receive(magic(MAC_BYTES));
    expect([driver.control & ~0x8, driver.requests]).toEqual([D3 | PME_STATUS, []]);
    // The event is pending, and PME# follows as soon as it is enabled.
    driver.control = D3 | PME_EN;
    expect(driver.requests).toEqual([WOKEN]);
  });

  test('frames that arrive in the meantime are not received', () => {
    const driver = new Driver();
    driver.rig.out(REG.cr, 1, RECEIVE);
    driver.sleep({});
    driver.receive(frameTo(MAC_BYTES));
    driver.control = D0;
    expect(driver.rig.in(REG.cr, 1) & 1).toBe(1);
    driver.receive(frameTo(MAC_BYTES));
    expect(driver.rig.in(REG.cr, 1) & 1).toBe(0);
  });
});

test('the event survives everything except the loss of power', () => {
  const driver = new Driver().sleep({ config3: CONFIG3.magic });
  const { device, pci } = driver.rig.built;
  driver.receive(magic(MAC_BYTES));
  const events = () => driver.control & (PME_EN | PME_STATUS);
  pci!.busReset();
  expect(events()).toBe(PME_EN | PME_STATUS);
  device.resetFromSleep!();
  expect([driver.control & D3, events()]).toEqual([D0, PME_EN | PME_STATUS]);
  const state = structuredClone(device.save());
  device.reset();
  expect(events()).toBe(0);
  device.load(state);
  expect(events()).toBe(PME_EN | PME_STATUS);
  expect(driver.requests.length).toBe(1);
});
