import { expect, test } from 'vitest';
import type { TerminalSize } from '../../src/devices/backends/char.ts';
import { Consoles } from '../../src/engine/consoles.ts';

/** A console whose guest received `received`, and was notified of `sizes`. */
function rig() {
  const received: string[] = [];
  const sizes: TerminalSize[] = [];
  const consoles = new Consoles({
    scrollback: () => new Uint8Array(),
    type: bytes => received.push(Buffer.from(bytes).toString()),
    room: () => Promise.resolve(),
    keyboardChanged: () => {},
    resized: size => sizes.push(size),
  });
  const watch = (name: string, answers = true) => {
    const link = consoles.open({ printed: () => {} }, { name, answers });
    return { ...link, answer: () => link.answer(Buffer.from(name)) };
  };
  return { consoles, received, sizes, watch };
}

test('the guest receives replies from the first terminal only, or from the keyboard holder', async () => {
  const { received, watch } = rig();
  const [anna, ben] = [watch('anna'), watch('ben')];
  anna.answer();
  ben.answer();
  await ben.takeKeyboard();
  anna.answer();
  ben.answer();
  ben.close();
  anna.answer();
  expect(received).toEqual(['anna', 'ben', 'anna']);
});

test('a read-only client does not keep the others from replying', () => {
  const { received, watch } = rig();
  const [looking, anna] = [watch('looking', false), watch('anna')];
  looking.answer();
  anna.answer();
  expect(received).toEqual(['anna']);
});

test('the keyboard has one holder at a time, and is released when the holder leaves', async () => {
  const { consoles, watch } = rig();
  const [anna, ben] = [watch('anna'), watch('ben')];
  await anna.takeKeyboard();
  await expect(ben.takeKeyboard()).rejects.toThrow('anna has the keyboard');
  await ben.takeKeyboard(true);
  expect(consoles.keyboardHolder).toBe('ben');
  ben.close();
  expect(consoles.keyboardHolder).toBeNull();
});

test('the guest receives the terminal size of the keyboard holder only', async () => {
  const { sizes, watch } = rig();
  const [anna, ben] = [watch('anna'), watch('ben')];
  anna.setSize({ columns: 80, rows: 24 });
  expect(sizes).toEqual([]);
  await anna.takeKeyboard();
  ben.setSize({ columns: 120, rows: 40 });
  anna.setSize({ columns: 90, rows: 24 });
  await ben.takeKeyboard(true);
  anna.setSize({ columns: 100, rows: 24 });
  expect(sizes).toEqual([
    { columns: 80, rows: 24 },
    { columns: 90, rows: 24 },
    { columns: 120, rows: 40 },
  ]);
});
