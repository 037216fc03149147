import { afterEach, describe, expect, test } from 'vitest';
import type { HostBlock } from '../../../src/devices/host-block.ts';
import { FIRMWARE } from '../../../src/vmm/memory/layout.ts';
import { SHADOW_ROM } from '../../../src/vmm/memory/shadow.ts';
import * as libc from '../../../src/vmm/native/libc.ts';
import { jumpTo, loadEax, movAl, movEax, outAl, outEax, storeEax } from '../../support/guest-code.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { LocalOwner } from '../../support/local-owner.ts';
import { runAnswered, SmallVm } from '../../support/small-vm.ts';

const PAGE = 4096;
const BAR = 0xd000_0000;

const owner = new LocalOwner();
afterEach(() => owner.release());

function block(name: string, size: number): HostBlock {
  const { PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS } = libc;
  const host = libc.mmap(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  owner.ownMap(host, size);
  return { name, size, host, fd: null, offset: 0, buffer: libc.viewOf(host, size) };
}

/** Boots `code` and returns a function that runs it to its next port write. */
function guest(code: readonly number[]) {
  const small = new SmallVm(owner);
  const vcpu = small.boot('protected32', code);
  return { small, next: () => runAnswered(vcpu, small.memory.space) };
}

describe.skipIf(noKvm !== null)(onKvm('a guest'), () => {
  test('finds no RAM in the VGA window, even with half of an access', () => {
    const { next } = guest([
      ...movEax(0x1122_3344),
      ...storeEax(0x9_fffe),
      ...storeEax(0xb_0000),
      ...loadEax(0x9_fffe),
      ...outEax(0x80),
      ...loadEax(0xb_fffc),
      ...outEax(0x80),
    ]);
    expect(next()).toEqual({
      wrote: 0xffff_3344,
      answered: [
        'write 2 to memory 0xa0000: 0x1122',
        'write 4 to memory 0xb0000: 0x11223344',
        'read 2 from memory 0xa0000',
      ],
    });
    expect(next()).toEqual({ wrote: 0xffff_ffff, answered: ['read 4 from memory 0xbfffc'] });
  });

  test('reads a ROM without an exit, and its writes reach the handler', () => {
    const { small, next } = guest([
      ...loadEax(BAR + 8),
      ...storeEax(BAR + 0x10),
      ...outEax(0x80),
      ...loadEax(BAR + 0x5008),
      ...outEax(0x80),
    ]);
    const rom = block('rom', 2 * PAGE);
    new DataView(rom.buffer).setUint32(PAGE + 8, 0x1234_5678, true);
    const writes: number[][] = [];
    const range = small.memory.space.add({
      ...{ kind: 'rom', name: 'flash', start: BAR, size: PAGE, block: rom, offset: PAGE },
      onWrite: (...write) => writes.push(write),
    });
    small.memory.space.add({ kind: 'alias', name: 'again', start: BAR + 0x5000, size: PAGE, of: range });
    const { wrote, answered } = next();
    expect([wrote, answered.length]).toEqual([0x1234_5678, 1]);
    expect(writes).toEqual([[0x10, 4, 0x1234_5678]]);
    expect(next()).toEqual({ wrote: 0x1234_5678, answered: [] });
  });

  test('accesses device memory directly where its BAR currently is', () => {
    const writeBoth = [
      ...movEax(0x5a),
      ...storeEax(BAR + PAGE),
      ...storeEax(BAR + 0x10_0000 + PAGE),
      ...storeEax(BAR + 0x10_0000),
      ...outAl(0x80),
    ];
    const { small, next } = guest([...writeBoth, ...writeBoth]);
    const memory = block('video-memory', 4 * PAGE);
    const pixels = new DataView(memory.buffer);
    const range = small.memory.space.add({
      kind: 'device',
      name: 'fb',
      start: BAR,
      size: 4 * PAGE,
      block: memory,
    });
    expect(next().answered).toHaveLength(2);
    expect(pixels.getUint32(PAGE, true)).toBe(0x5a);
    pixels.setUint32(PAGE, 0, true);

    const registers: number[][] = [];
    small.memory.space.batch(() => {
      range.map(BAR + 0x10_0000);
      small.memory.space.add({
        ...{ kind: 'mmio', name: 'registers', start: BAR + 0x10_0000, size: 16, priority: 1 },
        handler: { read: () => 0, write: (...write) => registers.push(write) },
      });
    });
    expect(next().answered).toEqual([
      'write 4 to memory 0xd0001000: 0x0000005a',
      'write 4 to memory 0xd0100000: 0x0000005a',
    ]);
    expect(pixels.getUint32(PAGE, true)).toBe(0x5a);
    expect(registers).toEqual([[0, 4, 0x5a]]);
  });

  test('runs code in a shadowed ROM while its RAM is enabled', () => {
    // The same code in both, except for what it says.
    const says = (value: number) => [...movAl(value), ...outAl(0x80), ...jumpTo(0xf_0000)];
    const { small, next } = guest(jumpTo(0xf_0000));
    const rom = block('bios', 0x1_0000);
    new Uint8Array(rom.buffer).set(says(1));
    small.memory.shadow.place({ start: 0xf_0000, size: 0x1_0000, block: rom, offset: 0 });
    small.ram.writable(0xf_0000, 16).set(says(2));
    small.memory.shadow.setAll(SHADOW_ROM);
    expect([next(), next()].map(({ wrote }) => wrote)).toEqual([1, 1]);
    small.memory.shadow.set(12, { read: 'ram', write: 'rom' });
    expect([next(), next()].map(({ wrote }) => wrote)).toEqual([2, 2]);
    small.memory.shadow.setAll({ read: 'ram', write: 'ram' });
    small.memory.space.memory.writable(0xf_0000, 16).set(says(3));
    expect(next().wrote).toBe(3);
  });

  test('starts in firmware that ends at 4 GiB, and finds its end below 1 MiB, too', () => {
    const small = new SmallVm(owner);
    const { space, shadow } = small.memory;
    const size = FIRMWARE.maxSize;
    const firmware = block('firmware', size);
    const bytes = new Uint8Array(firmware.buffer);
    // At the reset vector: mov al, 0x5a; out 0x80, al; jmp far f000:0100. There: mov al, 0x5b; out 0x80, al.
    bytes.set([0xb0, 0x5a, 0xe6, 0x80, 0xea, 0x00, 0x01, 0x00, 0xf0], size - 16);
    bytes.set([0xb0, 0x5b, 0xe6, 0x80], size - 0x1_0000 + 0x100);
    space.add({ kind: 'rom', name: 'firmware', start: FIRMWARE.end - size, size, block: firmware });
    const low = 0x2_0000;
    shadow.place({ start: 0xe_0000, size: low, block: firmware, offset: size - low });
    shadow.setAll(SHADOW_ROM);
    const vcpu = small.vm.createVcpu(0);
    expect([runAnswered(vcpu, space), runAnswered(vcpu, space)]).toEqual([
      { wrote: 0x5a, answered: [] },
      { wrote: 0x5b, answered: [] },
    ]);
  });

  test('has its writes logged for each user since the last query', () => {
    const write = (address: number) => [...storeEax(address), ...outAl(0x80)];
    const at = [0x20_0000, 0xf_0000, BAR + 2 * PAGE, 0x20_0000, 0x9_f000, 0x3f_f000];
    const { small, next } = guest(at.flatMap(write));
    const memory = block('video-memory', 4 * PAGE);
    small.memory.space.add({ kind: 'device', name: 'fb', start: BAR, size: 4 * PAGE, block: memory });
    const [ram] = small.ram.blocks;
    const log = small.memory.dirtyLog;
    const written = (user: string) =>
      [...log.collect(user)].flatMap(([{ name }, pages]) =>
        [...pages.runs()].map(({ first }) => `${name} ${first}`),
      );

    next();
    log.start('migration', [ram!, memory]);
    next();
    next();
    expect(written('migration')).toEqual(['ram-low 240', 'video-memory 2']);
    log.start('display', [memory]);
    next();
    small.memory.space.memory.writeU16(BAR, 1);
    expect(written('display')).toEqual(['video-memory 0']);
    next();
    expect(written('migration')).toEqual(['ram-low 159', 'ram-low 512', 'video-memory 0']);
    log.stop('migration');
    next();
    expect(written('display')).toEqual([]);
  });
});
