import { describe, expect, it } from 'vitest';
import type { GuestMemory } from '../../../src/devices/guest-memory.ts';
import type { KernelLoad } from '../../../src/vmm/boot/kernel-load.ts';
import { isMultiboot, loadKernel } from '../../../src/vmm/boot/load-kernel.ts';
import { FakeMemory } from '../../support/fake-memory.ts';
import { bzImage, elfImage, imageOfBytes, multibootHeader, note, pvhNote, u32 } from './images.ts';

const MiB = 2 ** 20;
const RSDP = 0xe_0000;

type Options = {
  memory?: GuestMemory;
  initrd?: Uint8Array;
  modules?: readonly (readonly [content: string, commandLine: string])[];
  commandLine?: string;
  textMode?: KernelLoad['textMode'];
};

function boot(kernel: Uint8Array, options: Options = {}) {
  const memory = options.memory ?? new FakeMemory(16 * MiB);
  const entry = loadKernel({
    kernel: imageOfBytes('/boot/kernel', kernel),
    initrd: options.initrd ? imageOfBytes('/boot/initrd', options.initrd) : null,
    modules: (options.modules ?? []).map(([content, commandLine]) => ({
      image: imageOfBytes('/boot/module', Buffer.from(content)),
      commandLine,
    })),
    commandLine: options.commandLine ?? '',
    memory,
    rsdp: RSDP,
    textMode: options.textMode ?? null,
  });
  return { memory, entry };
}

const text = (memory: GuestMemory, address: number, length: number) =>
  Buffer.from(memory.readable(address, length)).toString();

const CODE = Buffer.from('kernel code');
const pvhKernel = (segment = {}) =>
  elfImage({
    segments: [{ physical: 0x10_0000, content: CODE, memorySize: 64, ...segment }, pvhNote(0x10_0004)],
  });

describe('Linux bzImage', () => {
  it('is entered at startup_64 with identity page tables when it has a 64-bit entry', () => {
    const { memory, entry } = boot(bzImage());
    expect(entry).toMatchObject({ protocol: 'linux64', mode: 'long64', rip: 0x20_0200 });
    expect(entry.segments.code).toMatchObject({ selector: 0x10, l: 1, db: 0 });
    expect(memory.readable(0x20_0000, 4096).every(byte => byte === 0xc0)).toBe(true);

    const pdpt = Number(memory.readU64(entry.cr3) & ~0xfffn);
    const directory = Number(memory.readU64(pdpt + 3 * 8) & ~0xfffn);
    expect(memory.readU64(directory + 511 * 8)).toBe(0xffe0_0083n);
  });

  it('otherwise uses the 32-bit protocol', () => {
    const { entry } = boot(bzImage({ has64BitEntry: false }));
    expect(entry).toMatchObject({ protocol: 'linux32', mode: 'protected32', rip: 0x20_0000, cr3: 0 });
  });

  it('finds its parameters, memory map, command line and initrd through boot_params', () => {
    const initrd = Buffer.from('initrd content');
    const { memory, entry } = boot(bzImage(), { commandLine: 'console=ttyS0', initrd });
    const params = entry.registers.rsi!;
    expect(text(memory, params + 0x202, 4)).toBe('HdrS');
    expect(memory.readU64(params + 0x70)).toBe(BigInt(RSDP));
    expect(text(memory, memory.readU32(params + 0x228), 14)).toBe('console=ttyS0\0');
    const initrdAddress = memory.readU32(params + 0x218);
    expect(initrdAddress).toBe(16 * MiB - 4096);
    expect(text(memory, initrdAddress, memory.readU32(params + 0x21c))).toBe('initrd content');

    const count = memory.readable(params + 0x1e8, 1)[0]!;
    const map = Array.from({ length: count }, (_, i) => {
      const at = params + 0x2d0 + i * 20;
      return [Number(memory.readU64(at)), Number(memory.readU64(at + 8)), memory.readU32(at + 16)];
    });
    expect(map.slice(0, 3)).toEqual([
      [0, 0x9_fc00, 1],
      [0x9_fc00, 0x6_0400, 2],
      [1 * MiB, 15 * MiB, 1],
    ]);
    expect(map).toContainEqual([0xe000_0000, 256 * MiB, 2]);
  });

  it('keeps the initrd below initrd_addr_max and above what the kernel unpacks to', () => {
    const initrd = Buffer.alloc(4096);
    const { memory, entry } = boot(bzImage({ initrdMax: 0x3f_ffff }), { initrd });
    expect(memory.readU32(entry.registers.rsi! + 0x218)).toBe(0x3f_f000);
    const large = Buffer.alloc(1 * MiB + 1);
    expect(() => boot(bzImage({ initrdMax: 0x3f_ffff }), { initrd: large })).toThrow(
      'the initrd /boot/initrd is too large',
    );
  });

  it.each([
    [
      'a command line that is too long',
      {},
      { commandLine: 'x'.repeat(256) },
      /command line has 256 bytes.*at most 255/,
    ],
    [
      'code beyond RAM',
      { prefAddress: 64 * MiB },
      {},
      /does not fit in the guest's memory.*RAM ends at 16 MiB/,
    ],
    ['an absurd load address', { prefAddress: 2n ** 64n - 1n }, {}, /does not fit/],
    ['a load address below 1 MiB', { prefAddress: 0 }, {}, /above the first MiB/],
    ['an init_size beyond RAM', { initSize: 0xffff_ffff }, {}, /does not fit/],
    ['an alignment that is none', { alignment: 3 }, {}, /damaged setup header: kernel_alignment 0x3/],
    ['no code', { code: Buffer.alloc(0) }, {}, /damaged setup header/],
    ['an old protocol', { version: 0x203 }, {}, /too old \(boot protocol 2\.3\)/],
    ['a zImage', { loadflags: 0 }, {}, /too old/],
  ])('with %s is rejected', (_, spec, options, message) => {
    expect(() => boot(bzImage(spec), options)).toThrow(message);
  });

  it.each([1, 8, 15])('may lack %i bytes of its last paragraph, which are then zero', missing => {
    const whole = Buffer.alloc(4096, 0xc0);
    const memory = new FakeMemory(16 * MiB);
    memory.writable(0x20_0000, 8192).fill(0xff);
    boot(bzImage({ code: whole.subarray(0, 4096 - missing) }), { memory });
    const loaded = Buffer.from(memory.readable(0x20_0000, 4097));
    expect(loaded.subarray(0, 4096 - missing).every(byte => byte === 0xc0)).toBe(true);
    expect(loaded.subarray(4096 - missing, 4096).every(byte => byte === 0)).toBe(true);
    expect(loaded[4096]).toBe(0xff);
  });

  it('that lacks a complete paragraph is truncated', () => {
    expect(() => boot(bzImage().subarray(0, -16))).toThrow('(16 missing)');
  });

  it('with only a real-mode entry is rejected with the reason', () => {
    const realMode = { version: 0x207, has64BitEntry: false, code32Start: 0 };
    expect(() => boot(bzImage(realMode))).toThrow(
      '/boot/kernel has only a real-mode entry point, which needs a BIOS',
    );
    expect(boot(bzImage({ code32Start: 0 })).entry.protocol).toBe('linux64');
  });

  it('that is truncated reports how many bytes are missing', () => {
    const whole = bzImage();
    expect(() => boot(whole.subarray(0, -100))).toThrow(
      /\/boot\/kernel is truncated: its protected-mode code .* \(100 missing\)/,
    );
    expect(() => boot(whole.subarray(0, 700))).toThrow(
      /its setup header extends to byte 1024.*\(324 missing\)/,
    );
  });
});

describe('ELF with a PVH note', () => {
  it('is entered in 32-bit mode with hvm_start_info in ebx', () => {
    const { memory, entry } = boot(pvhKernel(), { commandLine: 'quiet', initrd: Buffer.from('cpio') });
    expect(entry).toMatchObject({ protocol: 'pvh', mode: 'protected32', rip: 0x10_0004, cr0: 0x11 });
    expect(text(memory, 0x10_0000, CODE.length)).toBe('kernel code');
    const info = entry.registers.rbx!;
    expect([memory.readU32(info), memory.readU32(info + 4)]).toEqual([0x336e_c578, 1]);
    expect(text(memory, Number(memory.readU64(info + 24)), 6)).toBe('quiet\0');
    expect(memory.readU64(info + 32)).toBe(BigInt(RSDP));
    const module = Number(memory.readU64(info + 16));
    expect(memory.readU32(info + 12)).toBe(1);
    expect(text(memory, Number(memory.readU64(module)), Number(memory.readU64(module + 8)))).toBe('cpio');
    const map = Number(memory.readU64(info + 40));
    expect(memory.readU32(info + 48)).toBeGreaterThan(2);
    expect([memory.readU64(map), memory.readU64(map + 8), memory.readU32(map + 16)]).toEqual([
      0n,
      0x9_fc00n,
      1,
    ]);
  });

  it("clears memory that its file doesn't fill", () => {
    const memory = new FakeMemory(16 * MiB);
    memory.writable(0x10_0000, 128).fill(0xff);
    boot(pvhKernel(), { memory });
    expect(memory.readable(0x10_0000 + CODE.length, 64 - CODE.length).every(byte => byte === 0)).toBe(true);
    expect(memory.readable(0x10_0040, 1)[0]).toBe(0xff);
  });

  it('may be ELF32', () => {
    const image = elfImage({ bits: 32, machine: 3, segments: [{ content: CODE }, pvhNote(0x10_0000)] });
    expect(boot(image).entry).toMatchObject({ protocol: 'pvh', rip: 0x10_0000 });
  });

  it.each([
    ['more bytes in the file than in memory', { memorySize: 4 }, /more bytes in the file than in memory/],
    ['an offset beyond the file', { offset: 2n ** 63n }, /truncated: its loadable segment/],
    ['an offset that would wrap around', { offset: 2n ** 64n - 4n }, /truncated/],
    ['a size beyond RAM', { memorySize: 2n ** 64n - 1n }, /does not fit in the guest's memory/],
    ['a size in the file beyond it', { fileSize: 5000, memorySize: 5000 }, /truncated.*missing/],
    ['a place below 1 MiB', { physical: 0x7000 }, /above the first MiB/],
  ])('with a segment that has %s is rejected', (_, segment, message) => {
    const image = elfImage({
      segments: [
        { physical: 0x20_0000, content: CODE, memorySize: 64 },
        { content: CODE, ...segment },
        pvhNote(0x20_0000),
      ],
    });
    expect(() => boot(image)).toThrow(message);
  });

  it('with overlapping segments, or an entry outside them, is rejected', () => {
    const overlapping = [
      { content: CODE, memorySize: 4096 },
      { physical: 0x10_0800, content: CODE },
      pvhNote(0x10_0000),
    ];
    expect(() => boot(elfImage({ segments: overlapping }))).toThrow('two segments overlap at 0x100800');
    expect(() => boot(elfImage({ segments: [{ content: CODE }, pvhNote(0x50_0000)] }))).toThrow(
      'PVH entry point 0x500000 is in no loadable segment',
    );
  });

  it('with wrong note sizes is an ELF without a PVH note', () => {
    const lying = note('Xen', 18, 'abcd');
    lying.writeUInt32LE(0xffff_ffff, 0);
    const image = elfImage({ segments: [{ content: CODE }, { type: 4, content: lying }] });
    expect(() => boot(image)).toThrow(/without a PVH note or a multiboot header.*CONFIG_PVH=y/);
  });

  it("with an initrd that doesn't fit reports how much room there is", () => {
    expect(() => boot(pvhKernel(), { initrd: Buffer.alloc(16 * MiB) })).toThrow(
      /initrd is too large: it has 16 MiB, but .* room for 15 MiB; give the guest more memory/,
    );
  });
});

describe('multiboot ELF', () => {
  const image = (flags: number, spec = {}) =>
    elfImage({
      bits: 32,
      machine: 3,
      segments: [{ content: Buffer.concat([multibootHeader(flags), CODE]) }],
      ...spec,
    });

  it('is entered in 32-bit mode with the magic in eax and the information in ebx', () => {
    const { memory, entry } = boot(image(3), { commandLine: 'a b', initrd: Buffer.from('module') });
    expect(entry).toMatchObject({ protocol: 'multiboot', mode: 'protected32', rip: 0x10_0000 });
    expect(entry.registers.rax).toBe(0x2bad_b002);
    const info = entry.registers.rbx!;
    expect(memory.readU32(info)).toBe(0b10_0100_1101);
    expect([memory.readU32(info + 4), memory.readU32(info + 8)]).toEqual([639, 15 * 1024]);
    expect(text(memory, memory.readU32(info + 16), 17)).toBe('/boot/kernel a b\0');
    const module = memory.readU32(info + 24);
    const start = memory.readU32(module);
    expect(text(memory, start, memory.readU32(module + 4) - start)).toBe('module');
    expect(start % 4096).toBe(0);
    expect(text(memory, memory.readU32(module + 8), 13)).toBe('/boot/initrd\0');
    const map = memory.readU32(info + 48);
    expect([memory.readU32(map), memory.readU64(map + 12)]).toEqual([20, 0x9_fc00n]);
    expect(memory.readU32(info + 44) % 24).toBe(0);
  });

  it('gets several modules in order, each with its command line', () => {
    const modules = [
      ['first', '/boot/a x y'],
      ['second'.repeat(1000), '/boot/b'],
      ['third', ''],
    ] as const;
    const { memory, entry } = boot(image(3), { modules });
    const info = entry.registers.rbx!;
    expect(memory.readU32(info + 20)).toBe(modules.length);
    const list = memory.readU32(info + 24);
    const found = modules.map((_, index) => {
      const [start, end, line] = [0, 4, 8].map(at => memory.readU32(list + index * 16 + at)) as [
        number,
        number,
        number,
      ];
      return { start, content: text(memory, start, end - start), line };
    });
    expect(found.map(({ content }) => content)).toEqual(modules.map(([content]) => content));
    for (const [index, [, line]] of modules.entries())
      expect(text(memory, found[index]!.line, line.length + 1)).toBe(`${line}\0`);
    expect(found.every(({ start }) => start % 4096 === 0)).toBe(true);
    expect(found.map(({ start }) => start)).toEqual(found.map(({ start }) => start).sort((a, b) => a - b));
    // The memory map and the loader's name are behind the list, and not on it.
    expect(text(memory, memory.readU32(info + 64), 6)).toBe('vring\0');
  });

  it('fits its command lines, or reports that they are too long', () => {
    const modules = Array.from({ length: 10 }, () => ['m', 'x'.repeat(60_000)] as const);
    expect(() => boot(image(3), { modules })).toThrow('the command lines of /boot/kernel and its modules');
    expect(() => boot(image(3), { modules: [['', '']] })).toThrow('the module /boot/module is empty');
    expect(() => boot(image(3), { modules: [['m', 'a\0b']] })).toThrow('a module contains a NUL character');
  });

  it.each([
    ['a bzImage', bzImage()],
    ['a PVH kernel', pvhKernel()],
  ])('is the only format with modules, and rejects %s', (_, kernel) => {
    expect(() => boot(kernel, { modules: [['m', '']] })).toThrow('/boot/kernel is not a multiboot kernel');
    expect(isMultiboot(imageOfBytes('k', kernel))).toBe(false);
    expect(isMultiboot(imageOfBytes('k', image(3)))).toBe(true);
  });

  it('with a virtual entry point is entered at its physical address', () => {
    const segment = { virtual: 0xc010_0000, content: Buffer.concat([multibootHeader(0), CODE]) };
    const kernel = elfImage({ bits: 32, machine: 3, entry: 0xc010_000c, segments: [segment] });
    expect(boot(kernel).entry.rip).toBe(0x10_000c);
  });

  it('gets the text mode of the screen, whatever video mode it prefers', () => {
    const { memory, entry } = boot(image(7), { textMode: { columns: 80, rows: 25, fontHeight: 16 } });
    const info = entry.registers.rbx!;
    expect(memory.readU32(info) & (1 << 12)).not.toBe(0);
    expect(memory.readU64(info + 88)).toBe(0xb8000n);
    expect([96, 100, 104].map(at => memory.readU32(info + at))).toEqual([160, 80, 25]);
    expect([...memory.readable(info + 108, 2)]).toEqual([16, 2]);
    const without = boot(image(7));
    expect(without.memory.readU32(without.entry.registers.rbx!) & (1 << 12)).toBe(0);
  });

  it('that requires an unsupported feature is rejected', () => {
    expect(() => boot(image(0x8003))).toThrow('requires multiboot features that vring lacks (flags 0x8000');
  });

  it('need not have room for a segment of its own headers', () => {
    const content = Buffer.concat([multibootHeader(3), CODE]);
    const headers = 52 + 2 * 32;
    const kernel = (fileSize: number) =>
      elfImage({
        ...{ bits: 32, machine: 3 },
        segments: [{ physical: 0xf_f000, offset: 0, fileSize, memorySize: fileSize }, { content }],
      });
    const { memory, entry } = boot(kernel(headers));
    expect(entry.rip).toBe(0x10_0000);
    expect(text(memory, 0x10_000c, CODE.length)).toBe(CODE.toString());
    expect(() => boot(kernel(headers + 1))).toThrow('a kernel must be above the first MiB');
  });

  it('with a wrong checksum has no multiboot header', () => {
    const content = Buffer.concat([multibootHeader(3), CODE]);
    content.writeUInt32LE(4, 4);
    expect(() => boot(elfImage({ segments: [{ content }] }))).toThrow(
      'without a PVH note or a multiboot header',
    );
  });
});

describe('a multiboot kernel that is not an ELF file', () => {
  const flags = 0x1_0003;
  const START = 0x20_0000;
  /** Eight bytes before the header, then code. */
  const flat = ({ header = START + 8, load = START, loadEnd = 0, bssEnd = 0, entry = START + 40 } = {}) =>
    Buffer.concat([
      Buffer.alloc(8, 0x90),
      multibootHeader(flags),
      ...[header, load, loadEnd, bssEnd, entry].map(u32),
      CODE,
    ]);
  const SIZE = 40 + CODE.length;

  it('is loaded unchanged at the address in its header', () => {
    const memory = new FakeMemory(16 * MiB);
    memory.writable(START, 64).fill(0xff);
    const { entry } = boot(flat({ bssEnd: START + SIZE + 2 }), { memory });
    expect(entry).toMatchObject({ protocol: 'multiboot', mode: 'protected32', rip: START + 40 });
    expect(text(memory, START + 40, CODE.length)).toBe(CODE.toString());
    expect([...memory.readable(START + SIZE, 3)]).toEqual([0, 0, 0xff]);
    expect(isMultiboot(imageOfBytes('k', flat()))).toBe(true);
  });

  it('can begin and end within the file', () => {
    const memory = new FakeMemory(16 * MiB);
    boot(flat({ load: START + 8, loadEnd: START + 44 }), { memory });
    expect([...memory.readable(START + 7, 2)]).toEqual([0, 0x02]);
    expect(text(memory, START + 40, 5)).toBe('kern\0');
  });

  it.each([
    ['before the file', { load: START - 1 }, 'are not those of its content'],
    ['after the header', { load: START + 9 }, 'are not those of its content'],
    ['beyond the file', { loadEnd: START + SIZE + 1 }, 'is truncated'],
    ['nowhere', { loadEnd: START }, 'its entry point 0x200028 is outside'],
    ['without its entry point', { entry: START + SIZE }, 'is outside of what its header has loaded'],
    ['below 1 MiB', { header: 8, load: 0, entry: 40 }, 'a kernel must be above the first MiB'],
    ['beyond RAM', { bssEnd: 17 * MiB }, 'but RAM ends at 16 MiB'],
  ])('is rejected with an address %s', (_, addresses, message) => {
    expect(() => boot(flat(addresses))).toThrow(message);
  });

  it('is rejected without addresses', () => {
    const kernel = Buffer.concat([multibootHeader(3), CODE]);
    expect(() => boot(kernel)).toThrow('has a multiboot header without addresses, but is no ELF file');
  });
});

describe('other files', () => {
  const at = (offset: number, bytes: string) =>
    Buffer.concat([Buffer.alloc(offset), Buffer.from(bytes, 'latin1')]);
  it.each([
    ['gzip', at(0, '\x1f\x8b\x08'), 'looks like gzip data: decompress it first'],
    ['an arm64 Image', Buffer.concat([Buffer.from('MZ'), at(0x36, 'ARM\x64')]), 'a Linux kernel for arm64'],
    ['an initramfs', at(0, '070701'), 'an initramfs: give it as the initrd'],
    ['an EFI program', at(0, 'MZ'), 'an EFI program'],
    ['something else', at(0, 'hello'), 'has no signature that vring knows'],
    ['nothing', Buffer.alloc(0), 'is an empty file'],
    ['an arm64 ELF', elfImage({ machine: 183, segments: [] }), 'for another processor (arm64)'],
    ['an object file', elfImage({ type: 1, segments: [] }), 'not an executable (ELF type 1)'],
    ['an ELF header alone', elfImage({ segments: [] }).subarray(0, 40), 'truncated: its ELF header'],
  ])('are identified by their content: %s', (_, bytes, message) => {
    expect(() => boot(bytes)).toThrow(message);
  });

  it('cause nothing but a BootError, whatever bytes are damaged', () => {
    const images = [bzImage(), pvhKernel(), elfImage({ segments: [{ content: multibootHeader(3) }] })];
    const memory = new FakeMemory(16 * MiB);
    for (const image of images) {
      for (let at = 0; at < Math.min(image.length, 1024); at++) {
        const damaged = Buffer.from(image);
        damaged[at] = 0xff - damaged[at]!;
        try {
          boot(damaged, { memory });
        } catch (error) {
          expect((error as Error).name, `byte ${at}: ${error}`).toBe('BootError');
        }
      }
    }
  });
});
