import { describe, expect, test } from 'vitest';
import type { AnyConfigurable } from '../../../src/devices/device-table.ts';
import { ACTION, CONFIG, CSR, DEFAULT_CONFIG, PMDR } from '../../../src/devices/net/i8255x/registers.ts';
import { i82551, i82557b, i82559er } from '../../../src/devices/net/i8255x/rows.ts';
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

const BLOCK = 0x1000;
const END_OF_LIST = 0x8000;
const [NO_MAGIC, ADDRESS, LINK, GROUP] = [0x02, 0x01, 0x20, 0x80];
const ALL_MULTICAST = 0x08;

class Driver extends WakeDriver {
  constructor(row: AnyConfigurable = i82551) {
    super(row);
  }

  /** Configures the card, and puts it into a power state. */
  sleep({ wake = NO_MAGIC as number, fixed = 0, state = D3 }): this {
    const config = DEFAULT_CONFIG.slice();
    config[CONFIG.wake] = config[CONFIG.wake]! | wake;
    config[CONFIG.fixedWake] = fixed;
    config[CONFIG.multicast] = config[CONFIG.multicast]! | ALL_MULTICAST;
    const { memory } = this.rig;
    memory.writeU32(BLOCK, ((END_OF_LIST | ACTION.configure) << 16) >>> 0);
    memory.writable(BLOCK + 8, config.length).set(config);
    this.rig.out(CSR.scbPointer, 4, BLOCK);
    this.rig.out(CSR.scbCommand, 1, 0x10);
    this.control = state | PME_EN;
    return this;
  }

  get pmdr(): number {
    return this.rig.in(CSR.pmdr, 1);
  }
}

describe('wake-up', () => {
  test('a magic packet after a frame that did not fit wakes the machine up', () => {
    const driver = new Driver();
    // The only receive descriptor marks the end of the list.
    driver.rig.memory.writeU32(BLOCK, (END_OF_LIST << 16) >>> 0);
    driver.rig.out(CSR.scbPointer, 4, BLOCK);
    driver.rig.out(CSR.scbCommand, 1, 0x01);
    expect(driver.rig.port.receive(frameTo(MAC_BYTES))).toBe(1);
    driver.sleep({ wake: 0 }).receive(magic(MAC_BYTES));
    expect(driver.requests).toEqual([WOKEN]);
  });

  test('the 82557B does not support it, the others report that they do', () => {
    expect(new Driver(i82557b).rig.built.acpi).toBeUndefined();
    for (const row of [i82551, i82559er]) {
      const driver = new Driver(row);
      expect([driver.capabilities, driver.control]).toEqual([0xc822, D0]);
      expect(driver.rig.built.acpi).toEqual({ assertsPme: true });
    }
  });

  test.each([
    ['a magic packet to the card', { wake: 0 }, PMDR.magic, magic(MAC_BYTES), frameTo(MAC_BYTES)],
    [
      'a magic packet to all',
      { wake: 0 },
      PMDR.magic,
      magic(BROADCAST_BYTES, 0),
      magic(BROADCAST_BYTES, 0, OTHER_BYTES),
    ],
    ['a magic packet that is for the card', { wake: 0 }, PMDR.magic, magic(MAC_BYTES), magic(OTHER_BYTES)],
    [
      'a frame to the card',
      { wake: ADDRESS | NO_MAGIC },
      PMDR.frame,
      frameTo(MAC_BYTES),
      frameTo(BROADCAST_BYTES),
    ],
    ['a frame to a group', { fixed: GROUP }, PMDR.frame, frameTo(MULTICAST_BYTES), frameTo(BROADCAST_BYTES)],
  ])('%s', (_, enabled, cause, wanted, other) => {
    const driver = new Driver().sleep(enabled);
    driver.receive(other);
    expect([driver.control, driver.requests]).toEqual([D3 | PME_EN, []]);
    driver.receive(wanted);
    expect([driver.control, driver.requests]).toEqual([D3 | PME_EN | PME_STATUS, [WOKEN]]);
    driver.receive(wanted);
    expect(driver.requests.length).toBe(1);
    driver.control = D0 | PME_EN;
    driver.place();
    expect(driver.pmdr).toBe(cause | PMDR.event);
    driver.rig.out(CSR.pmdr, 1, 0xff);
    expect([driver.pmdr, driver.control]).toEqual([0, D0 | PME_EN]);
  });

  test('a link change wakes the machine up, in D0 too', () => {
    const driver = new Driver().sleep({ fixed: LINK });
    driver.setLink(false);
    expect(driver.requests).toEqual([WOKEN]);
    const awake = new Driver().sleep({ fixed: LINK, state: D0 });
    awake.setLink(false);
    expect([awake.requests, awake.pmdr]).toEqual([[WOKEN], PMDR.link | PMDR.event]);
    // On its way from D3 to D0 it is reset, with its configuration.
    const again = new Driver().sleep({ fixed: LINK });
    again.control = D0 | PME_EN;
    again.place();
    again.setLink(false);
    expect([again.requests, again.pmdr]).toEqual([[], 0]);
  });

  test('a magic packet does not wake up an 82559ER', () => {
    const driver = new Driver(i82559er).sleep({ wake: 0, fixed: LINK });
    driver.receive(magic(MAC_BYTES));
    expect(driver.requests).toEqual([]);
    driver.setLink(false);
    expect(driver.requests).toEqual([WOKEN]);
  });

  test('magic packets are enabled after a reset, and have no effect unless events are enabled', () => {
    const driver = new Driver();
    driver.control = D0 | PME_EN;
    driver.receive(magic(MAC_BYTES));
    driver.control = D3;
    expect(driver.requests).toEqual([]);
    driver.receive(magic(MAC_BYTES));
    expect([driver.control, driver.requests]).toEqual([D3 | PME_STATUS, []]);
    driver.control = D3 | PME_EN;
    expect(driver.requests).toEqual([WOKEN]);
  });
});

test('the event and its cause survive everything except the loss of power', () => {
  const driver = new Driver().sleep({ wake: 0 });
  const { device, pci } = driver.rig.built;
  driver.receive(magic(MAC_BYTES));
  const isThere = () => {
    driver.place();
    return [driver.control, driver.pmdr];
  };
  const kept = [D0 | PME_EN | PME_STATUS, PMDR.magic | PMDR.event];
  pci!.busReset();
  expect(isThere()).toEqual(kept);
  driver.rig.out(CSR.port, 4, 0);
  expect(isThere()).toEqual(kept);
  device.resetFromSleep!();
  expect(isThere()).toEqual(kept);
  const state = structuredClone(device.save());
  device.reset();
  expect(isThere()).toEqual([D0, 0]);
  device.load(state);
  expect(isThere()).toEqual(kept);
  expect(driver.requests.length).toBe(1);
});
