import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { typeText } from '../../src/commands/vm/send-key.ts';
import { BUTTON } from '../../src/devices/input/input-event.ts';
import { KEY } from '../../src/devices/input/key-codes.ts';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { ProcessMachines } from '../../src/engine/machines/process-machine.ts';
import { followScreen } from '../../src/engine/screen/follow-screen.ts';
import type { ScreenView } from '../../src/engine/screen/screen-link.ts';
import { GuestVm } from '../support/guest-vm.ts';
import { enterOwnNetwork } from '../support/own-network.ts';
import { textOf } from '../support/screen-watcher.ts';
import {
  CHUNK,
  checksum,
  DEVICES_KERNEL,
  filled,
  makeLinux,
  sentByGuest,
  whyNoLinux,
} from './linux-guest.ts';

const missing = whyNoLinux(DEVICES_KERNEL);
if (missing !== null) console.warn(`skipped: ${missing}`);

const CHUNKS = 2;
const FOR_GUEST = Buffer.alloc(CHUNKS * CHUNK, 'from the host to the guest ');

/** The cards by their models, each with a network of its own. One e1000e has MSI-X, and one the pin. */
const CARDS = [
  ...(['e1000', 'e1000e', 'e1000e', 'i82551', 'i82557b', 'i82559er'] as const),
  ...(['ne2k_isa', 'ne2k_pci', 'pcnet', 'rtl8139'] as const),
];
/** Where the ISA card is: an interrupt that no PCI device has. */
const ISA = { iobase: 0x300, irq: 5 };
const PARAMETERS = `ne.io=0x${ISA.iobase.toString(16)} ne.irq=${ISA.irq} e1000e.IntMode=2,0`;
const macOf = (index: number) => `52:54:00:00:01:0${index}`;

/** Of the frame buffer. */
const [WIDTH, HEIGHT] = [640, 480];

/** What the guest draws there (drives.c), as frames have it. */
function drawnByGuest(): Buffer {
  const pixels = Buffer.alloc(WIDTH * HEIGHT * 4);
  for (let y = 0; y < HEIGHT; y++)
    for (let x = 0; x < WIDTH; x++)
      pixels.writeUInt32LE(((x * 0x10305) ^ (y * 0x70201)) & 0xff_ffff, 4 * (y * WIDTH + x));
  return pixels;
}

describe.skipIf(missing !== null)('Linux with the devices of a PC', () => {
  let directory: string;
  let kernel: string;
  let initrd: string;
  let engine: LocalEngine;
  let server: Server;
  /** What each connection sent. */
  const received: Buffer[] = [];

  beforeAll(async () => {
    enterOwnNetwork();
    directory = await mkdtemp(join(tmpdir(), 'vring-linux-'));
    ({ kernel, initrd } = await makeLinux(directory, 'classic.c', DEVICES_KERNEL));
    // In a process of its own, confined.
    engine = new LocalEngine({ machines: new ProcessMachines() });
    server = createServer(socket => {
      const parts: Buffer[] = [];
      let count = 0;
      socket.write(FOR_GUEST);
      socket.on('data', part => {
        parts.push(part);
        count += part.length;
        if (count < FOR_GUEST.length) return;
        received.push(Buffer.concat(parts));
        socket.end();
      });
    });
    await new Promise<void>(resolve => server.listen(9000, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    await engine?.close();
    server?.close();
    await rm(directory, { recursive: true, force: true });
  });

  test('works with all of them', async () => {
    const guest = await GuestVm.start(engine, {
      name: 'cards',
      memory: { bytes: 128 * 2 ** 20 },
      boot: {
        kind: 'kernel',
        path: kernel,
        initrd,
        append: `console=ttyS0 quiet rodata=off nomodeset ${PARAMETERS}`,
      },
      devices: [
        ...CARDS.map((type, index) => ({
          type,
          ...(type === 'ne2k_isa' && ISA),
          mac: macOf(index),
          network: { type: 'user', net: `10.1.${index}.0/24` },
        })),
        { type: 'vga' },
      ],
    });
    const screen = followScreen(engine, guest.id);
    await guest.printed(/guest: prompt/);
    for (let view = await screen.next(); !textOf(view!.frame).includes('type here:'); )
      view = await screen.next();
    await typeText(engine, guest.info.name, 'echo {Hi} $1', { layout: 'us', enter: true });
    await guest.printed(/guest: typed echo \{Hi\} \$1/);
    await engine.input(guest.id, [{ kind: 'motion', dx: 5, dy: -3 }]);
    await guest.printed(/guest: done/);
    screen.close();
    // With a wheel; a guest that is slow may give up before it asks for five buttons.
    expect(guest.output).toMatch(/guest: mouse Im(Ex)?PS\/2 /);
    expect(guest.output).toMatch(/guest: moved 00 by 0005\r?\nguest: moved 01 by fffd/);
    for (const [index, model] of CARDS.entries()) {
      const address = `0a01${index.toString(16).padStart(2, '0')}0f`;
      const mac = macOf(index).replaceAll(':', '');
      const shown = [`card ${mac}`, `address ${address}`, `received ${checksum(FOR_GUEST)}`, 'sent'];
      expect(guest.output, model).toMatch(new RegExp(shown.map(line => `guest: ${line}\\r?\\n`).join('')));
    }
    // Linux names vectors by what they are for.
    expect(guest.output.match(/ eth\d-rx-0 eth\d-tx-0 /g)).toHaveLength(1);
    expect(received).toHaveLength(CARDS.length);
    for (const bytes of received) expect(bytes.equals(sentByGuest(CHUNKS))).toBe(true);
    expect((await guest.reached('off')).broken).toEqual({});
  }, 600_000);

  test('works with its IDE and floppy drives, its TPM, its screen, and virtio input devices', async () => {
    const folder = join(directory, 'drives');
    await mkdir(folder);
    const linux = await makeLinux(folder, 'drives.c', DEVICES_KERNEL);
    const [hd, cd, fd] = ['hd.img', 'cd.iso', 'fd.img'].map(name => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const content = (what: string) => Buffer.alloc(CHUNK, `content of the ${what} `);
    await writeFile(hd, Buffer.concat([content('disk'), Buffer.alloc(15 * CHUNK)]));
    await writeFile(cd, Buffer.concat([Buffer.alloc(CHUNK), content('CD'), Buffer.alloc(CHUNK)]));
    await writeFile(fd, Buffer.concat([content('floppy'), Buffer.alloc(1_474_560 - CHUNK)]));
    const guest = await GuestVm.start(engine, {
      name: 'drives',
      memory: { bytes: 128 * 2 ** 20 },
      boot: {
        kind: 'kernel',
        path: linux.kernel,
        initrd: linux.initrd,
        // Without a cursor that blinks, which it would draw all the time.
        append: 'console=ttyS0 quiet rodata=off vt.global_cursor_default=0',
      },
      devices: [
        { type: 'piix3-ide', name: 'ide0' },
        { type: 'ide-hd', path: hd, format: 'raw', addr: '0' },
        { type: 'ide-cd', name: 'cd0', path: cd, format: 'raw', addr: '2' },
        { type: 'isa-fdc', name: 'fdc0' },
        { type: 'floppy', path: fd, format: 'raw' },
        { type: 'tpm-tis' },
        { type: 'virtio-keyboard' },
        { type: 'virtio-tablet' },
        { type: 'virtio-mouse' },
        { type: 'vga', xres: WIDTH, yres: HEIGHT },
      ],
    });
    await guest.printed(/guest: screen/);
    const screen = followScreen(engine, guest.id);
    const isDrawn = ({ frame }: ScreenView) => {
      if (frame.kind !== 'graphics' || frame.width !== WIDTH || frame.height !== HEIGHT) return false;
      return drawnByGuest().equals(frame.pixels);
    };
    while (!isDrawn((await screen.next())!));
    screen.close();
    await guest.printed(/guest: axis 0000-7fff/);
    const press = (code: number) => [true, false].map(down => ({ kind: 'key', code, down }) as const);
    const click = (code: number) => [true, false].map(down => ({ kind: 'button', code, down }) as const);
    const { id } = guest;
    expect(await engine.input(id, [...press(KEY.a), ...press(KEY.capslock)])).toBe(4);
    // The kernel's console lights it.
    const litLeds = () =>
      guest.info
        .topology!.devices.find(({ name }) => name === 'vkbd0')!
        .facts.find(({ label }) => label === 'lit LEDs')!.value;
    await expect.poll(litLeds, { timeout: 120_000 }).toBe('Caps Lock');
    await engine.input(id, [
      { kind: 'motion', dx: 5, dy: -3 },
      { kind: 'wheel', dy: 1 },
      ...click(BUTTON.left),
    ]);
    await guest.printed(/guest: no mouse/);
    await engine.input(id, [{ kind: 'position', x: 0x1234, y: 0x7fff }, ...click(BUTTON.right)]);
    await guest.printed(/guest: (ejected|failed)/);
    const said = [...guest.output.matchAll(/guest: ((?:keyboard|mouse|tablet) .*?)\r?\n/g)].map(
      match => match[1],
    );
    expect(said).toEqual([
      'keyboard 01:01e=00000001 00:000=00000000',
      'keyboard 01:01e=00000000 00:000=00000000',
      'keyboard 01:03a=00000001 00:000=00000000',
      'keyboard 01:03a=00000000 00:000=00000000',
      'mouse 02:000=00000005 02:001=fffffffd 00:000=00000000',
      'mouse 02:008=ffffffff 00:000=00000000',
      'mouse 01:110=00000001 00:000=00000000',
      'mouse 01:110=00000000 00:000=00000000',
      'tablet 03:000=00001234 03:001=00007fff 00:000=00000000',
      'tablet 01:111=00000001 00:000=00000000',
      'tablet 01:111=00000000 00:000=00000000',
    ]);
    expect(guest.output).toContain(`guest: ide ${checksum(content('disk'))}`);
    expect(guest.output).toContain(`guest: cd ${checksum(content('CD'))}`);
    expect(guest.output).toContain(`guest: floppy ${checksum(content('floppy'))}`);
    expect(guest.output).toContain('guest: ejected');
    expect(guest.output).toMatch(/guest: tpm 800100000014000000000008[0-9a-f]{16}\r?\n/);
    await guest.reached('off');
    for (const [path, seed] of [
      [hd, 1],
      [fd, 2],
    ] as const)
      expect((await readFile(path)).subarray(CHUNK, 2 * CHUNK).equals(filled(seed)), path).toBe(true);
  }, 600_000);
});
