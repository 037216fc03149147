import { expect, test } from 'vitest';
import { FdChar } from '../../../../src/vmm/backends/char/fd-char.ts';
import { MachineChars } from '../../../../src/vmm/backends/char/machine-chars.ts';
import * as libc from '../../../../src/vmm/native/libc.ts';
import { FdTestLoop } from '../../../support/fd-test-loop.ts';

/** One back end of a machine, and its other end. */
function rig() {
  const chars = new MachineChars();
  const loop = new FdTestLoop();
  const [ours, theirs] = libc.socketPair();
  libc.setNonblocking(ours);
  libc.setNonblocking(theirs);
  const char = new FdChar({
    ...{ kind: 'stream', fd: theirs, label: 'a stream', loop, isHeld: chars.isHeld },
    closeFd: libc.close,
  });
  chars.add('serial0', char);
  const received = () => {
    const bytes = Buffer.alloc(100);
    return bytes.toString('latin1', 0, Math.max(0, libc.tryRead(ours, bytes)));
  };
  const end = () => {
    char.close();
    libc.close(ours);
  };
  return { chars, char, loop, received, end };
}

test('the back ends of a machine are held until it runs, and while there is a hold', () => {
  const { chars, char, loop, received, end } = rig();
  char.write(Buffer.from('early '));
  loop.turn();
  expect(received()).toBe('');
  chars.begin();
  loop.turn();
  expect(received()).toBe('early ');
  const [releaseOne, releaseOther] = [chars.hold(), chars.hold()];
  char.write(Buffer.from('held'));
  releaseOne();
  releaseOne();
  loop.turn();
  expect([chars.isHeld, received()]).toEqual([true, '']);
  releaseOther();
  loop.turn();
  expect([chars.isHeld, received()]).toEqual([false, 'held']);
  end();
});

test('their state is loaded by device', () => {
  const [from, to] = [rig(), rig()];
  from.char.write(Buffer.from('unread'));
  const saved = from.chars.save();
  to.chars.load({ ...saved, serial1: { output: new Uint8Array(), waiting: 0 } });
  to.chars.begin();
  to.loop.turn();
  expect(to.received()).toBe('unread');
  const other = rig();
  expect(() => other.chars.load({ serial0: { output: 'no bytes', waiting: 0 } })).toThrow('"output"');
  other.chars.load({});
  for (const { end } of [from, to, other]) end();
});

test('connections are passed by device, and missing ones stay missing', () => {
  const { chars, char, end } = rig();
  expect(chars.connections).toEqual([{ device: 'serial0', connection: 'own' }]);
  expect(() => chars.continueWith([{ device: 'serial1', connection: 'own' }])).toThrow('no device "serial1"');
  expect([char.connected, chars.connections]).toEqual([false, []]);
  chars.continueWith([{ device: 'serial0', connection: 'own' }]);
  expect(char.connected).toBe(true);
  chars.remove('serial0');
  expect(chars.connections).toEqual([]);
  end();
});
