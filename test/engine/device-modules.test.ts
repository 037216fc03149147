import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { DefinitionStore } from '../../src/definitions/store.ts';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { ProcessMachines } from '../../src/engine/machines/process-machine.ts';
import { STATISTIC } from '../../src/vmm/counters/counters.ts';
import { GuestVm } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { withOwnFolders } from '../support/manager-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';
import { elfImage, pvhNote } from '../vmm/boot/images.ts';

withOwnFolders();

const folder = temporaryFolder();
const EXAMPLE = join(import.meta.dirname, '../../examples/device/tick-counter.ts');
const ENTRY = 0x10_0000;

/** In protected mode, with the counter's registers where the first BAR is. */
const DRIVER = [
  ...[0xc7, 0x05, 0x08, 0x00, 0x00, 0xc0, 0x00, 0x00, 0x20, 0x00], // mov dword [0xc0000008], 0x200000
  ...[0xc7, 0x05, 0x00, 0x00, 0x00, 0xc0, 0x01, 0x00, 0x00, 0x00], // mov dword [0xc0000000], 1
  ...[0xa1, 0x00, 0x00, 0x20, 0x00], // wait: mov eax, [0x200000]
  ...[0x83, 0xf8, 0x03], // cmp eax, 3
  ...[0x72, 0xf6], // jb wait
  ...[0x66, 0xba, 0xf8, 0x03], // mov dx, 0x3f8
  ...[0xb0, 0x6b, 0xee], // mov al, 'k'; out dx, al
  ...[0xf4, 0xeb, 0xfd], // halt: hlt; jmp halt
];

/** @returns its path */
function writeKernel(name: string, program: readonly number[]): string {
  const path = join(folder, name);
  const segments = [{ physical: ENTRY, content: Uint8Array.from(program) }, pvhNote(ENTRY)];
  writeFileSync(path, elfImage({ entry: ENTRY, segments }));
  return path;
}

const driver = writeKernel('driver.elf', DRIVER);

let engine: LocalEngine;
afterEach(async () => {
  await engine?.close();
});

const start = (
  deviceModules: readonly string[],
  options = {},
  others: { readonly type: string; readonly path: string }[] = [],
  kernel = driver,
) => {
  engine = new LocalEngine({ machines: new ProcessMachines(), definitions: new DefinitionStore() });
  return GuestVm.start(engine, {
    boot: { kind: 'kernel', path: kernel },
    deviceModules: [...deviceModules],
    devices: [{ type: 'tick-counter', ...options }, ...others],
  });
};

describe.skipIf(noKvm !== null)(onKvm('a machine with a device module'), () => {
  test('runs the device, confined, with DMA, timer and statistics', async () => {
    const guest = await start([EXAMPLE], { interval: '5' });
    const counters = engine.counters(guest.id)!;
    expect(guest.info.confinement!.find(({ name }) => name === 'seccomp')).toMatchObject({ state: 'on' });
    const { topology } = guest.info;
    const [{ index } = { index: -1 }] = topology!.statistics!;
    expect(topology!.devices.at(-1)).toMatchObject({
      name: 'tick0',
      type: 'tick-counter',
      facts: [{ label: 'interval', value: '5 ms' }],
    });
    expect(topology!.statistics).toMatchObject([{ device: 'tick0', name: 'ticks' }]);
    // It has seen the count in its memory.
    await guest.printed(/k/);
    const ticks = counters.words[counters.layout.statistic(index) + STATISTIC.value];
    expect(ticks).toBeGreaterThanOrEqual(3n);
  });

  test('refuses options and types that the module does not have', async () => {
    await expect(start([EXAMPLE], { interval: 'x' })).rejects.toThrow(
      'tick-counter: option "interval" takes a whole number, at least 1, at most 60000, not "x"',
    );
    await engine.close();
    const other = join(folder, 'other.mjs');
    writeFileSync(
      other,
      `export default { type: 'other', title: 'o', description: 'o', bus: 'isa', create() {} };`,
    );
    await expect(start([other])).rejects.toThrow('there is no device of type "tick-counter"');
  });

  test.each([
    ['create()', 'const device = new', 'const device = null.x ?? new', /^faulty-\d\.ts:\d+: Cannot read/],
    ['an option', "'number', min", "'float', min", /"kind" of option "interval" must be one of number/],
  ])('fails to start with an error in %s, and names the file', async (_what, right, wrong, reason) => {
    const module = join(folder, `faulty-${wrong.length % 10}.ts`);
    writeFileSync(module, readFileSync(EXAMPLE, 'utf8').replace(right, wrong));
    await expect(start([module])).rejects.toThrow(reason);
  });

  test('resizes disks by the names that the machine assigned', async () => {
    const module = join(folder, 'named-blk.ts');
    writeFileSync(module, readFileSync(EXAMPLE, 'utf8').replace("prefix: 'tick'", "prefix: 'blk'"));
    const path = join(folder, 'disk.img');
    writeFileSync(path, Buffer.alloc(2 ** 20));
    const { id } = await start([module], {}, [{ type: 'virtio-blk', path }]);
    const change = { bytes: 2 ** 21, shrink: false };
    await expect(engine.resizeDisk(id, 'blk0', change)).rejects.toThrow(
      'guest has no disk "blk0": it has blk1',
    );
    expect(await engine.resizeDisk(id, 'blk1', change)).toBe(2 ** 21);
  });

  /** A module whose device runs this, in its fifth line, when the guest writes to it. */
  function faulty(action: string): string {
    const path = join(folder, 'faulty.ts');
    writeFileSync(
      path,
      `import { defineDevice, type IoHandler, PciFunction } from 'vring/device';
const handler: IoHandler = {
  read: () => 0,
  write(offset: number, _size, value: number) {
    ${action}
  },
};
export default defineDevice({
  type: 'faulty', title: 'faulty device', description: 'throws', bus: 'pci',
  create(services, _options, name) {
    const pci = new PciFunction(name, { vendor: 1, device: 2, revision: 0, classCode: 0xff0000 });
    pci.addBar(0, { kind: 'memory32', size: 4096, handler });
    return { device: { name, reset() {}, save: () => ({}), load() {} }, pci };
  },
});
`,
    );
    return path;
  }

  test.each([
    ["throw new Error('no register ' + offset);", /^faulty\.ts:5: no register 8$/],
    [
      'throw null;',
      /^a device module threw null, which is not an Error: throw new Error\(\.\.\.\) records the line$/,
    ],
    ['throw { code: 7 };', /^a device module threw \{ code: 7 \}, which is not an Error/],
    [
      'process.exit(3);',
      /^faulty\.ts:5: process\.exit\(3\) would end the machine's process: end the machine by/,
    ],
  ])('is stopped by %s, and reports the location', async (action, reason) => {
    const guest = await start([faulty(action)], { type: 'faulty' });
    expect((await guest.reached('crashed')).reason).toMatch(reason);
  });

  test('shows all guest output from before a device stopped it', async () => {
    const print = (text: string) => [...text].flatMap(letter => [0xb0, letter.charCodeAt(0), 0xee]);
    const talker = writeKernel('talker.elf', [0x66, 0xba, 0xf8, 0x03, ...print('the last words'), ...DRIVER]);
    const guest = await start([faulty("throw new Error('no');")], { type: 'faulty' }, [], talker);
    await guest.reached('crashed');
    expect(guest.output).toBe('the last words');
  });

  test('waits for a device whose quiesce() does not return, and reports it', async () => {
    const module = join(folder, 'endless.ts');
    const example = readFileSync(EXAMPLE, 'utf8');
    writeFileSync(
      module,
      example.replace(/quiesce\(done: \(\) => void\): void \{/, '$&\n    if (true) return;'),
    );
    const guest = await start([module]);
    await guest.printed(/k/);
    await engine.pause(guest.id);
    await until(() => guest.info.diskErrors?.tick0 !== undefined);
    expect(guest.info.diskErrors).toEqual({ tick0: 'its quiesce() has not called done' });
    const said = 'waits for tick0: its quiesce() has not called done';
    await until(() => engine.log().some(({ text }) => text === said));
  });
});
