import { describe, expect, test } from 'vitest';
import type { TerminalSize } from '../../../src/devices/backends/char.ts';
import { ConsolePorts } from '../../../src/vmm/machine/console-ports.ts';
import { SerialConsole } from '../../../src/vmm/machine/serial-console.ts';
import { DeviceClock } from '../../support/device-clock.ts';

describe('console ports', () => {
  test('are numbered as they are opened, and shared by devices that name the same one', () => {
    const printed: string[] = [];
    const clock = new DeviceClock();
    const ports = new ConsolePorts(
      port => new SerialConsole(bytes => printed.push(`${port}: ${Buffer.from(bytes)}`), clock),
    );
    const [com1, debug, com2] = ['com1', 'com1', 'com2'].map(name => ports.open(name));
    expect(ports.labels).toEqual([
      { port: 0, name: 'com1' },
      { port: 1, name: 'com2' },
    ]);
    com1!.write(Buffer.from('a'));
    com2!.write(Buffer.from('b'));
    debug!.write(Buffer.from('c'));
    ports.flush();
    expect(printed).toEqual(['0: a', '1: b', '0: c']);

    const typed: string[] = [];
    com2!.onInput = bytes => typed.push(`${Buffer.from(bytes)}`);
    ports.typed(1, Buffer.from('x'));
    ports.typed(0, Buffer.from('nobody reads this one'));
    ports.typed(7, Buffer.from('there is no such port'));
    expect(typed).toEqual(['x']);

    const sizes: TerminalSize[] = [];
    com2!.onResized = size => sizes.push(size);
    ports.resize(1, { columns: 132, rows: 43 });
    ports.resize(0, { columns: 80, rows: 24 });
    ports.resize(7, { columns: 80, rows: 24 });
    expect(sizes).toEqual([{ columns: 132, rows: 43 }]);
    // Of one whose device does not care, it is still known.
    expect(com1!.size).toEqual({ columns: 80, rows: 24 });
  });
});
