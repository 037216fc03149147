import { closeSync, mkdirSync, openSync, readFileSync, readSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { deviceOf } from '../../src/commands/vm/device-option.ts';
import type { RemoteEngine } from '../../src/engine/remote/remote-engine.ts';
import { run } from '../rig/tools.ts';
import { withOwnFolders } from '../support/manager-process.ts';
import { Survival } from '../support/survival.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { CHUNK, checksum, DEVICES_KERNEL, filled, makeLinux, whyNoLinux } from './linux-guest.ts';

const missing = whyNoLinux(DEVICES_KERNEL);
if (missing !== null) console.warn(`skipped: ${missing}`);

withOwnFolders();

/** Rounds that the guest keeps running after each operation on it. */
const ROUNDS = 3;

const chunkOf = (path: string, index: number): Buffer => {
  const fd = openSync(path, 'r');
  const bytes = Buffer.alloc(CHUNK);
  readSync(fd, bytes, 0, CHUNK, index * CHUNK);
  closeSync(fd);
  return bytes;
};

/** What a VM prints, and how to type. */
class Guest {
  readonly id: string;
  output = '';
  readonly #engine: RemoteEngine;
  readonly #console: ReturnType<RemoteEngine['openConsole']>;
  #changed = () => {};

  constructor(engine: RemoteEngine, id: string) {
    this.id = id;
    this.#engine = engine;
    engine.subscribe(() => this.#changed());
    this.#console = engine.openConsole(id, {
      printed: bytes => {
        this.output += Buffer.from(bytes).toString('latin1');
        this.#changed();
      },
    });
  }

  static async start(engine: RemoteEngine, config: Parameters<RemoteEngine['start']>[0]): Promise<Guest> {
    return new Guest(engine, await engine.start(config));
  }

  async type(text: string): Promise<void> {
    await this.#console.takeKeyboard();
    this.#console.type(Buffer.from(text));
    this.#console.releaseKeyboard();
  }

  /** For as long as the test may take. @throws when the VM ends before */
  async printed(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.output)) {
      const { state, reason } = this.#engine.vms().find(({ id }) => id === this.id)!;
      if (state === 'off' || state === 'crashed')
        throw new Error(`it is ${state} (${reason}):\n${this.output}`);
      await new Promise<void>(resolve => {
        this.#changed = resolve;
      });
    }
  }
}

/** As `vring vm attach --disk FILE,format=raw --bus sata`. */
const attach = (engine: RemoteEngine, id: string, path: string) =>
  engine.attach(id, deviceOf({ disk: `${path},format=raw`, bus: 'sata' }), { persist: false });

describe.skipIf(missing !== null)('Linux with a SATA disk, a CD drive and an NVMe disk', () => {
  test('uses them and a hot-plugged disk, and continues in another process and from a snapshot', async () => {
    const folder = temporaryFolder();
    const { kernel, initrd } = await makeLinux(folder, 'sata.c', DEVICES_KERNEL);
    const makeCd = async (name: string) => {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'name.txt'), `${name}\n`);
      const file = join(folder, `${name}.iso`);
      await run('genisoimage', ['-quiet', '-J', '-R', '-o', file, join(folder, name)]);
      return file;
    };
    const [first, second] = [await makeCd('first'), await makeCd('second')];
    const disk = join(folder, 'disk.img');
    const content = Buffer.alloc(CHUNK, 'content of the disk ');
    writeFileSync(disk, Buffer.concat([content, Buffer.alloc(15 * CHUNK)]));
    const nvme = join(folder, 'nvme.img');
    const nvmeContent = Buffer.alloc(CHUNK, 'content of the NVMe disk ');
    writeFileSync(nvme, Buffer.concat([nvmeContent, Buffer.alloc(15 * CHUNK, 'old ')]));
    const space = statSync(nvme).blocks;

    const survival = new Survival(1);
    onTestFinished(() => survival[Symbol.asyncDispose]());
    await survival.startManager();
    const { engine } = survival;
    const guest = await Guest.start(engine, {
      name: 'linux',
      // For each of them, the NVMe driver has a queue.
      cpus: 2,
      memory: { bytes: 128 * 2 ** 20 },
      boot: { kind: 'kernel', path: kernel, initrd, append: 'console=ttyS0 quiet rodata=off' },
      devices: [
        { type: 'ahci', name: 'ahci0' },
        { type: 'sata-hd', name: 'sata0', addr: '1', path: disk, format: 'raw', serial: 'SERIAL-1' },
        { type: 'sata-cd', name: 'cd0', addr: '4', path: first },
        { type: 'nvme-controller', name: 'fast' },
        { type: 'nvme', name: 'nvme0', path: nvme, format: 'raw', serial: 'SERIAL-2' },
      ],
    });
    const line = (text: string) => guest.printed(new RegExp(`guest: ${text}\\r?\\n`));
    const medium = { path: second, format: undefined, cache: 'writeback' } as const;
    await line(`read ${checksum(content)}`);
    await line(`read-back ${checksum(filled(7))}`);
    await line('cd first');
    await line('locked');
    await expect(engine.changeMedium(guest.id, 'cd0', { medium, force: false })).rejects.toThrow(
      'the guest has locked the tray of cd0',
    );
    for (let index = 1; index < 8; index++) expect(chunkOf(disk, index)).toEqual(filled(index));
    await guest.type('\n');
    await line('ejected');
    await engine.changeMedium(guest.id, 'cd0', { medium, force: false });
    await line('cd second');

    await line(`nvme read ${checksum(nvmeContent)}`);
    await line('nvme used 00100000');
    for (let index = 1; index < 8; index++) expect(chunkOf(nvme, index)).toEqual(filled(100 + index));
    expect(space - statSync(nvme).blocks).toBeGreaterThanOrEqual((4 * CHUNK) / 512);
    const rest = readFileSync(nvme).subarray(8 * CHUNK);
    expect(rest.subarray(0, 5 * CHUNK).every(byte => byte === 0)).toBe(true);
    expect(rest.subarray(5 * CHUNK)).toEqual(Buffer.alloc(3 * CHUNK, 'old '));
    await engine.resizeDisk(guest.id, 'nvme0', { bytes: 32 * CHUNK, shrink: false });
    await line('nvme resized 00200000');

    await line('no disk');
    const namespace = join(folder, 'namespace.img');
    writeFileSync(namespace, Buffer.alloc(4 * CHUNK, 'a namespace '));
    const bus = { disk: `${namespace},format=raw`, bus: 'fast' };
    expect(
      await engine.attach(
        guest.id,
        deviceOf(bus, () => 'nvme'),
        { persist: false },
      ),
    ).toMatchObject({ name: 'ns0', bus: 'fast', addr: '1', noticed: true });
    await line(`added ${checksum(Buffer.alloc(CHUNK, 'a namespace '))}`);
    await engine.detach(guest.id, 'ns0', { force: false, persist: false });
    await line('removed namespace');

    const added = join(folder, 'added.img');
    writeFileSync(added, Buffer.alloc(4 * CHUNK, 'another disk '));
    const attached = await attach(engine, guest.id, added);
    expect(attached).toMatchObject({ name: 'sata1', bus: 'ahci0', addr: '0', noticed: true });
    await line(`added ${checksum(Buffer.alloc(CHUNK, 'another disk '))}`);
    await engine.detach(guest.id, 'sata1', { force: false, persist: false });
    await line('removed');

    const rounds = (output: string) =>
      [...output.matchAll(/guest: round ([0-9a-f]+)\r?\n/g)].map(([, hex]) => Number.parseInt(hex!, 16));
    const goesOn = async (vm: Guest) => {
      const wanted = Math.max(0, ...rounds(vm.output)) + ROUNDS;
      await vm.printed(new RegExp(`guest: (round ${wanted.toString(16).padStart(8, '0')}|wrong.*)\\r?\\n`));
      expect(vm.output).not.toContain('wrong');
    };
    await goesOn(guest);
    await engine.upgrade(guest.id);
    await goesOn(guest);
    await engine.snapshot(guest.id, { name: 'in-the-middle', disks: true });
    await goesOn(guest);
    await engine.kill('linux');
    const id = await engine.restore('linux', 'in-the-middle', {});
    await goesOn(new Guest(engine, id));
    await engine.kill(id);
  }, 900_000);
});
