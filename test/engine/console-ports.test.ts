import { describe, expect, onTestFinished, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { COM1, keyboardHolderOf, VmConsoles } from '../../src/engine/vm-consoles.ts';
import { GuestVm } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { until } from '../support/until.ts';

describe('the consoles of a VM', () => {
  test('have their own output, keyboard and scrollback', async () => {
    const typed: string[] = [];
    const consoles = new VmConsoles({
      type: (port, bytes) => typed.push(`${port}: ${Buffer.from(bytes)}`),
      room: () => Promise.resolve(),
      keyboardChanged: () => {},
      resize: (port, { columns, rows }) => typed.push(`${port}: ${columns} x ${rows}`),
    });
    const seen: string[] = [];
    const open = (port: number, name: string) =>
      consoles.open(
        port,
        { printed: bytes => seen.push(`${port}: ${Buffer.from(bytes)}`) },
        { name, answers: true },
      );
    consoles.printed(1, Buffer.from('before'));
    const [first, second] = [open(COM1, 'anna'), open(1, 'ben')];
    consoles.printed(COM1, Buffer.from('a'));
    consoles.printed(1, Buffer.from('b'));
    // No machine has that many.
    consoles.printed(2 ** 31, Buffer.from('c'));
    expect(seen).toEqual(['0: ', '1: before', '0: a', '1: b']);
    await first.takeKeyboard();
    await second.takeKeyboard();
    second.type(Buffer.from('x'));
    expect(typed).toEqual(['1: x']);
    expect([consoles.keyboardHolder, consoles.otherKeyboardHolders]).toEqual(['anna', { 1: 'ben' }]);
    expect(`${Buffer.from(consoles.scrollback(1))}`).toBe('beforeb');
    second.setSize({ columns: 132, rows: 43 });
    // To another machine, again.
    consoles.sendSizes();
    expect(typed.slice(1)).toEqual(['1: 132 x 43', '1: 132 x 43']);
    consoles.clearScrollback();
    expect(consoles.scrollback(1)).toHaveLength(0);
  });
});

describe.skipIf(noKvm !== null)(onKvm('a guest with two serial ports'), () => {
  test('has a console for each, addressed by its number', async () => {
    const engine = new LocalEngine();
    onTestFinished(() => engine.close());
    const guest = await GuestVm.start(engine, {
      append: 'run="serial 0x2f8 hello; halt"',
      devices: [{ type: 'isa-serial', name: 'com2' }],
    });
    await guest.printed(/started by/);
    expect(guest.info.topology?.consoles).toEqual([
      { port: COM1, name: 'com1' },
      { port: 1, name: 'com2' },
    ]);
    let printed = '';
    const link = engine.openConsole(
      guest.id,
      { printed: bytes => (printed += Buffer.from(bytes)) },
      { port: 1, watcher: { name: 'anna', answers: true } },
    );
    await until(() => printed === 'hello');
    await link.takeKeyboard();
    expect([keyboardHolderOf(guest.info, 1), guest.info.keyboardHolder]).toEqual(['anna', null]);
    link.type(Buffer.from('world\n'));
    await guest.printed(/result serial line=world\r?\n/);
    expect(guest.output).not.toContain('hello\n');
    expect(() => engine.openConsole(guest.id, { printed: () => {} }, { port: 2 })).toThrow(
      'guest has no console 2: its consoles are com1, com2',
    );
    expect(await guest.reached('off')).toMatchObject({ reason: 'the guest powered off' });
  });
});
