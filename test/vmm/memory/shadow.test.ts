import { beforeEach, describe, expect, test } from 'vitest';
import type { HostBlock } from '../../../src/devices/host-block.ts';
import { AddressSpace } from '../../../src/vmm/memory/address-space.ts';
import { KvmSlots } from '../../../src/vmm/memory/kvm-slots.ts';
import {
  SHADOW_AREAS,
  SHADOW_RAM,
  SHADOW_ROM,
  Shadow,
  type ShadowMode,
} from '../../../src/vmm/memory/shadow.ts';
import { UNCOUNTED } from '../../support/counters.ts';
import { fakeBlock } from '../../support/fake-block.ts';
import { FakeSlots } from '../../support/fake-slots.ts';
import { Random } from '../../support/random.ts';

const KiB = 2 ** 10;
const RAM = 0x55;
const ROM = 0xaa;
const NOTHING = 0xff;
/** Reads ROM, fills RAM: how firmware copies itself in place. */
const FILLING: ShadowMode = { read: 'rom', write: 'ram' };
const PROTECTED: ShadowMode = { read: 'ram', write: 'rom' };

let block: HostBlock;
let space: AddressSpace;
let shadow: Shadow;
let kvm: FakeSlots;
beforeEach(() => {
  block = fakeBlock('ram-low', 2 ** 20);
  new Uint8Array(block.buffer).fill(RAM);
  space = new AddressSpace({ counters: () => UNCOUNTED });
  kvm = new FakeSlots(64);
  space.listen(new KvmSlots(kvm, 64));
  shadow = new Shadow(space, block, SHADOW_RAM);
});

/** A ROM of 128 KiB, of which the upper half is seen below 1 MiB. */
function placeRom() {
  const rom = fakeBlock('bios', 128 * KiB);
  new Uint8Array(rom.buffer).fill(ROM, 64 * KiB);
  return shadow.place({ start: 0xf_0000, size: 64 * KiB, block: rom, offset: 64 * KiB });
}

const ramAt = (address: number) => new Uint8Array(block.buffer)[address];
const kvmAt = (address: number) => {
  const found = kvm.at(address);
  if (found === null) return 'exit';
  const memory = found.host === block.host + BigInt(address) ? 'ram' : 'rom';
  return found.writable ? memory : `read-only ${memory}`;
};

test('all areas together cover 768 KiB to 1 MiB', () => {
  let end = 0xc_0000;
  for (const { start, size } of SHADOW_AREAS) {
    expect(start).toBe(end);
    end = start + size;
  }
  expect([SHADOW_AREAS.length, end]).toEqual([13, 2 ** 20]);
});

describe('an area', () => {
  test('initially shares a slot of RAM with its neighbors', () => {
    expect([...kvm.slots.values()].map(({ address, size }) => [address, size])).toEqual([
      [0xc_0000, 256 * KiB],
    ]);
    space.memory.writeU32(0xf_fffc, 7);
    expect(ramAt(0xf_fffc)).toBe(7);
  });

  test('is ROM or unmapped when it is not RAM', () => {
    placeRom();
    shadow.setAll(SHADOW_ROM);
    expect([space.read(0xf_0000, 1), space.read(0xe_ffff, 2)]).toEqual([ROM, 0xaaff]);
    space.write(0xf_0000, 1, 1);
    expect([space.read(0xf_0000, 1), ramAt(0xf_0000)]).toEqual([ROM, RAM]);
    expect([kvmAt(0xf_0000), kvmAt(0xe_f000)]).toEqual(['read-only rom', 'exit']);
  });

  test('may pass writes to RAM while ROM is read', () => {
    placeRom();
    shadow.setAll(FILLING);
    for (let at = 0xf_0000; at < 0x10_0000; at += 4) space.write(at, 4, space.read(at, 4));
    space.write(0xc_0000, 1, 3);
    expect([space.read(0xf_0000, 1), space.read(0xc_0000, 1)]).toEqual([ROM, NOTHING]);
    expect([kvmAt(0xf_0000), kvmAt(0xc_0000)]).toEqual(['read-only rom', 'exit']);
    shadow.reset();
    expect([space.read(0xf_0000, 1), space.read(0xf_ffff, 1), space.read(0xc_0000, 1)]).toEqual([
      ROM,
      ROM,
      3,
    ]);
  });

  test('may write-protect its RAM', () => {
    placeRom();
    shadow.set(12, PROTECTED);
    space.write(0xf_0000, 1, 1);
    expect([space.read(0xf_0000, 1), kvmAt(0xf_0000)]).toEqual([RAM, 'read-only ram']);
    expect(space.memory.contains(0xf_0000, 16)).toBe(true);
    expect(space.memory.contains(0xf_0000, 16, 'write')).toBe(false);
    expect(kvmAt(0xe_c000)).toBe('ram');
  });

  test('changes without affecting its neighbors', () => {
    const rest = {
      kind: 'ram',
      name: 'rest',
      start: 2 ** 20,
      size: 2 ** 20,
      block: fakeBlock('rest', 2 ** 20),
    } as const;
    space.add(rest);
    shadow.set(4, SHADOW_ROM);
    kvm.calls.length = 0;
    shadow.set(0, PROTECTED);
    shadow.set(0, PROTECTED);
    expect(kvm.calls.map(({ address, size }) => [address, size])).toEqual([
      [0xc_0000, 0],
      [0xc_0000, 16 * KiB],
      [0xc_4000, 48 * KiB],
    ]);
    expect(shadow.mode(0)).toEqual(PROTECTED);
    expect(shadow.mode(1)).toEqual(SHADOW_RAM);
  });

  test('does not map a ROM that has been removed', () => {
    const remove = placeRom();
    shadow.setAll(SHADOW_ROM);
    remove();
    expect([space.read(0xf_0000, 1), kvmAt(0xf_0000)]).toEqual([NOTHING, 'exit']);
    remove();
  });
});

test('reads and writes follow the mode of each area in any sequence of modes', () => {
  const random = new Random(7);
  placeRom();
  const modes = SHADOW_AREAS.map(() => SHADOW_RAM);
  for (let step = 0; step < 300; step++) {
    const area = random.below(SHADOW_AREAS.length);
    modes[area] = random.pick([SHADOW_RAM, SHADOW_ROM, FILLING, PROTECTED]);
    shadow.set(area, modes[area]);
    for (const [index, { start, size }] of SHADOW_AREAS.entries()) {
      const { read, write } = modes[index]!;
      const address = start + random.below(size);
      const before = ramAt(address);
      const seen = read === 'ram' ? before : start >= 0xf_0000 ? ROM : NOTHING;
      expect(space.read(address, 1)).toBe(seen);
      const value = random.below(256);
      space.write(address, 1, value);
      expect(ramAt(address)).toBe(write === 'ram' ? value : before);
    }
  }
});
