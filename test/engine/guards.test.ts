import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { GuestVm } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { elfImage, pvhNote } from '../vmm/boot/images.ts';

const folder = temporaryFolder();
const ENTRY = 0x10_0000;
const HALT = [0xf4, 0xeb, 0xfd]; // halt: hlt; jmp halt

/** In protected mode. */
const PANIC = [
  ...[0x66, 0xba, 0x05, 0x05], // mov dx, 0x505
  ...[0xb0, 0x01, 0xee], // mov al, 1; out dx, al
  ...HALT,
];

/** Starts a watchdog in slot 1, with its registers where the first BAR is, and stops: both stages take 16 ticks of a kilohertz. */
const HANG = [
  ...[0xb9, 0x00, 0x00, 0x00, 0xc0], // mov ecx, 0xc0000000
  ...[0xc6, 0x41, 0x0c, 0x80, 0xc6, 0x41, 0x0c, 0x86], // mov byte [ecx+12], 0x80; the same with 0x86
  ...[0xc7, 0x01, 0x10, 0x00, 0x00, 0x00], // mov dword [ecx], 16
  ...[0xc6, 0x41, 0x0c, 0x80, 0xc6, 0x41, 0x0c, 0x86],
  ...[0xc7, 0x41, 0x04, 0x10, 0x00, 0x00, 0x00], // mov dword [ecx+4], 16
  ...[0x66, 0xba, 0xf8, 0x0c], // mov dx, 0xcf8
  ...[0xb8, 0x68, 0x08, 0x00, 0x80, 0xef], // mov eax, 0x80000868; out dx, eax
  ...[0x66, 0xba, 0xfc, 0x0c], // mov dx, 0xcfc
  ...[0xb0, 0x02, 0xee], // mov al, 2; out dx, al
  ...HALT,
];

let engine: LocalEngine;
afterEach(async () => {
  await engine?.close();
});

function start(
  code: readonly number[],
  device: { readonly type: 'pvpanic' | 'i6300esb'; readonly action?: 'pause' },
) {
  const kernel = join(folder, `${device.type}.elf`);
  const segments = [{ physical: ENTRY, content: Uint8Array.from(code) }, pvhNote(ENTRY)];
  writeFileSync(kernel, elfImage({ entry: ENTRY, segments }));
  engine = new LocalEngine();
  return GuestVm.start(engine, { boot: { kind: 'kernel', path: kernel }, devices: [device] });
}

describe.skipIf(noKvm !== null)(onKvm('a guest'), () => {
  test('that reports a panic has crashed', async () => {
    const guest = await start(PANIC, { type: 'pvpanic' });
    expect((await guest.reached('crashed')).reason).toBe('the guest has panicked');
  });

  test('that hangs is paused if its watchdog action is pause', async () => {
    const guest = await start(HANG, { type: 'i6300esb', action: 'pause' });
    const { reason } = await guest.reached('paused');
    expect(reason).toBe('the guest has not restarted its watchdog (watchdog0)');
  });
});
