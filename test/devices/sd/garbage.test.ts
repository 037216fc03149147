import { expect, test } from 'vitest';
import { MODE, REG, RESET } from '../../../src/devices/sd/host/registers.ts';
import { Random } from '../../support/random.ts';
import { MANY, pattern, R1, SdRig } from '../../support/sd-rig.ts';

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
const DRIVERS = 40;
const DISTURBANCES = 80;
const GiB = 2 ** 30;

/** One error of a driver, or one action of the host. */
function disturb(rig: SdRig, random: Random): void {
  const size = random.pick([1, 2, 4] as const);
  const address = () => random.pick([0x1000, 0x1008, 0x2000 + random.below(0x8000), random.u32()]);
  switch (random.below(8)) {
    case 0:
      rig.write(random.below(0x100) & ~(size - 1), random.pick([0, 1, 2, 0xff, random.u32()]), size);
      break;
    case 1: {
      const at = 0x1000 + 4 * random.below(64);
      const attributes = random.pick([0x21, 0x23, 0x31, 0x25, random.below(256)]);
      rig.memory.writeU32(
        at,
        random.pick([attributes | (random.pick([0, 8, 512, 0xffff]) << 16), address()]),
      );
      break;
    }
    case 2:
    case 3: {
      rig.write(REG.systemAddress, address());
      rig.write(REG.admaAddress, random.pick([0x1000, 0x1000, address()]));
      rig.write(REG.hostControl, random.below(4) << 3, 1);
      const mode =
        random.pick([MODE.read, 0, MODE.read | MANY, MANY, random.below(64)]) |
        random.below(2) |
        random.pick([0, 4, 8]);
      const index = random.pick([17, 18, 24, 25, 6, 13, 12, random.below(64)]);
      const transfer = {
        mode,
        blockSize: random.pick([512, 512, 512, 64, random.u32()]),
        blocks: random.below(5),
      };
      rig.command(
        index,
        random.pick([0, 512, address()]),
        random.below(4),
        random.below(8) > 0 ? transfer : null,
      );
      break;
    }
    case 4:
      for (let count = random.below(200); count > 0; count--) {
        if (random.below(2) === 0) rig.write(REG.bufferData, random.u32(), size);
        else rig.read(REG.bufferData, size);
      }
      break;
    case 5:
      if (random.below(4) === 0) rig.disk.port!.failures.push('host');
      rig.disk.port!.step();
      break;
    case 6:
      rig.read(random.below(0x100), size);
      break;
    case 7:
      rig.write(REG.softwareReset, random.pick([RESET.command, RESET.data]), 1);
      break;
  }
}

test.each(SEEDS)('drivers that write garbage do no harm, and the next one works (%i)', seed => {
  const random = new Random(seed);
  const rig = new SdRig(random.pick([2 ** 26, 4 * GiB]));
  let useful = 0;
  for (let driver = 0; driver < DRIVERS; driver++) {
    rig.select();
    const before = rig.disk.port!.log.length;
    for (let done = 0; done < DISTURBANCES; done++) disturb(rig, random);
    if (rig.disk.port!.log.length > before) useful++;
    // The state that a machine would save now can be loaded in another one.
    rig.card!.device.quiesce!(() => {});
    for (const { device } of [rig.card!, rig.host]) {
      const state = structuredClone(device.save());
      device.load(state);
      expect(device.save()).toEqual(state);
    }
    rig.card!.device.resume!();
    rig.host.device.resume!();
    rig.disk.port!.failures.length = 0;
    rig.settle();
  }
  // Most do some I/O before they break it.
  expect(useful).toBeGreaterThan(DRIVERS / 2);
  rig.select();
  rig.fill(2);
  rig.command(17, 0, R1, { mode: MODE.read });
  expect(rig.readPort(1)).toEqual(pattern(0, 1));
});
