import { expect, test } from 'vitest';
import { KEY } from '../../../src/devices/input/key-codes.ts';
import { USB_COMMAND } from '../../../src/devices/usb/xhci/registers.ts';
import { CODE, TRB } from '../../../src/devices/usb/xhci/trb.ts';
import { Random } from '../../support/random.ts';
import {
  BULK_ENDPOINTS,
  DATA,
  EVENT_TABLE,
  INPUT_CONTEXT,
  KEYBOARD_ENDPOINT,
  XhciRig,
} from '../../support/xhci-rig.ts';

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
const DRIVERS = 40;
const DISTURBANCES = 60;
/** Addresses of rings and contexts. */
const SHARED = { start: 0x1000, end: 0x3_0000 };
const DEVICES = ['usb-kbd', 'usb-tablet', 'usb-storage'];

/** A machine with three devices, which no driver has found yet. */
function machineWithDevices(): XhciRig {
  const rig = new XhciRig();
  DEVICES.forEach((type, index) => {
    rig.plug(type, type === 'usb-storage' ? { path: 'stick.img' } : {}, index + 1);
  });
  return rig;
}

/** Starts a new driver that configures all devices. @returns their slots */
function takeOver(rig: XhciRig): number[] {
  rig.disk.port!.settle();
  rig.setOperational('usbCommand', USB_COMMAND.reset);
  expect(rig.operational('usbCommand') & USB_COMMAND.reset).toBe(0);
  rig.anew().start();
  return DEVICES.map((type, index) => {
    const slot = rig.address(index + 1);
    rig.configure(slot, type === 'usb-storage' ? BULK_ENDPOINTS : [KEYBOARD_ENDPOINT], index + 1);
    return slot;
  });
}

/** One error of a driver, or one action of a user or the host. */
function disturb(rig: XhciRig, random: Random): void {
  const { memory } = rig;
  const address = () =>
    random.pick([
      DATA,
      DATA,
      EVENT_TABLE,
      INPUT_CONTEXT,
      SHARED.start + 16 * random.below(0x2f00),
      random.u32(),
    ]);
  const slot = 1 + random.below(4);
  const dci = random.pick([1, 3, 4, random.below(32)]);
  switch (random.below(10)) {
    case 0: {
      const at = SHARED.start + 4 * random.below((SHARED.end - SHARED.start) / 4);
      memory.writeU32(at, random.pick([0, address(), random.u32()]));
      break;
    }
    case 1:
    case 2:
    case 3:
      rig.ring(slot, random.pick([1, 3, 4])).add({
        low: address(),
        high: random.pick([0, 0, 0, 0, random.u32()]),
        status: random.pick([8, 31, 13, 512, 0x1_ffff, random.u32()]),
        control: (random.pick([1, 1, 2, 3, 4, 6, 7, 8, random.below(64)]) << 10) | random.below(0x400),
      });
      rig.ringDoorbell(slot, dci);
      break;
    case 4:
    case 5: {
      const type = random.pick([9, 10, 11, 12, 13, 14, 15, 16, 17, 23, random.below(64)]);
      const low = random.pick([INPUT_CONTEXT, address()]);
      rig.commands.add({
        low,
        control: (type << 10) | (slot << 24) | (dci << 16) | (random.below(8) === 0 ? 0x200 : 0),
      });
      rig.ringDoorbell(0);
      break;
    }
    case 6:
      rig.disk.port?.step();
      rig.events();
      break;
    case 7:
      for (const { capabilities } of rig.plugged) {
        capabilities!.keyboard?.key(random.below(128), random.below(2) === 0);
        capabilities!.pointer?.point({ kind: 'position', x: random.below(0x8000), y: 0 });
      }
      break;
    case 8:
      rig.machine.clock.advance(random.below(3));
      break;
    case 9:
      if (random.below(4) > 0) break;
      rig.write(
        random.pick([0x40, 0x58, 0x440, 0x450, 0x460, 0x1028, 0x1034, 0x1038]),
        random.pick([0, 5, address(), 0x10]),
      );
      break;
  }
}

test.each(SEEDS)('drivers that write garbage do no harm, and the next one works (%i)', seed => {
  const random = new Random(seed);
  const rig = machineWithDevices();
  const count = () => rig.machine.statistics.get('usb0 transfers')!;
  let useful = 0;
  for (let driver = 0; driver < DRIVERS; driver++) {
    takeOver(rig);
    const before = count();
    for (let done = 0; done < DISTURBANCES; done++) disturb(rig, random);
    if (count() > before) useful++;
  }
  // Most do some I/O before they break it.
  expect(useful).toBeGreaterThan(DRIVERS / 2);
  const [slot] = takeOver(rig);
  rig.events();
  rig.begin(slot!, 3, 8);
  rig.plugged[0]!.capabilities!.keyboard!.key(KEY.a, true);
  expect(rig.events()).toMatchObject([{ type: TRB.transferEvent, code: CODE.success }]);
  expect(rig.memory.readable(DATA, 8)[2]).toBe(4);
});
