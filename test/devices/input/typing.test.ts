import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { InputEvent } from '../../../src/devices/input/input-event.ts';
import { chordsOf, struck } from '../../../src/screen/keyboard/key-strokes.ts';
import { MachineInput } from '../../../src/vmm/machine/input-commands.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { LiveMachine } from '../../support/live-machine.ts';
import { ScreenWatcher, textOf } from '../../support/screen-watcher.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const MiB = 2 ** 20;
const TIMEOUT = 180_000;
const RETRY_MS = 20;

let machine: LiveMachine | null = null;
afterAll(() => machine?.close());

/** The image of a disk whose boot sector shows the keys that are typed, and turns the machine off at Enter. */
function echoDisk(): string {
  const sector = Buffer.alloc(512);
  sector.set([
    ...[0xb4, 0x00, 0xcd, 0x16], // next: mov ah,0; int 0x16
    ...[0xb4, 0x0e, 0x31, 0xdb, 0xcd, 0x10], // mov ah,0x0e; xor bx,bx; int 0x10
    ...[0x3c, 0x0d, 0x75, 0xf2], // cmp al,13; jne next
    ...[0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef], // mov dx,pm1; mov ax,s5; out dx,ax
    ...[0xf4, 0xeb, 0xfd], // hlt; jmp
  ]);
  sector.set([0x55, 0xaa], 510);
  const path = join(temporaryFolder(), 'echo.img');
  writeFileSync(path, Buffer.concat([sector, Buffer.alloc(MiB - 512)]));
  return path;
}

describe.skipIf(noKvm !== null)(onKvm('a PS/2 keyboard under SeaBIOS'), () => {
  test('opens the boot menu, and types into the boot sector', { timeout: TIMEOUT }, () => {
    machine = new LiveMachine('', {
      boot: { kind: 'firmware', menu: { show: true, waitMs: 60_000 } },
      memory: { bytes: 64 * MiB },
      devices: [{ type: 'vga' }, { type: 'virtio-blk', path: echoDisk(), format: 'raw' }],
    });
    const live = machine;
    const { chipset } = live.machine.parts;
    const input = new MachineInput();
    const send = (events: readonly InputEvent[]) => {
      const rest = events.slice(input.pass(chipset.devices, events));
      if (rest.length > 0) live.after(RETRY_MS, () => send(rest));
    };
    const type = (text: string) =>
      send(Array.from(text).flatMap(character => chordsOf('us', character)!.flatMap(struck)));
    /** Input that is typed once the screen shows a text, in this order. */
    const steps: [seen: string, typed: string][] = [
      ['Press ESC for boot menu', '\x1b'],
      ['Virtio disk', '1'],
      ['Booting from Hard Disk', 'Hello, '],
      ['Hello, ', 'World {42}!'],
      ['Hello, World {42}!', '\n'],
    ];
    const shown: string[] = [];
    const watcher = new ScreenWatcher(chipset.screens[0]!, frame => {
      const text = textOf(frame);
      const step = steps[0];
      if (step === undefined || !text.includes(step[0].trimEnd())) return;
      steps.shift();
      shown.push(text);
      type(step[1]);
    });
    live.after(TIMEOUT - 30_000, () => live.end(`it is still running: ${watcher.text}`));
    live.machine.run();
    live.run();
    expect(live.ended).toBe('power-off');
    expect(shown[1]).toMatch(/1\. Virtio disk/);
    expect(shown.at(-1)).toContain('Hello, World {42}!');
    watcher.close();
  });
});
