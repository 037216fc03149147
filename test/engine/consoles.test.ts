import { expect, test } from 'vitest';
import { Consoles } from '../../src/engine/consoles.ts';

/** A console whose guest hears `heard`. */
function rig() {
  const heard: string[] = [];
  const consoles = new Consoles({
    scrollback: () => new Uint8Array(),
    type: bytes => heard.push(Buffer.from(bytes).toString()),
    room: () => Promise.resolve(),
    keyboardChanged: () => {},
  });
  const watch = (name: string, answers = true) => {
    const link = consoles.open({ printed: () => {} }, { name, answers });
    return { ...link, answer: () => link.answer(Buffer.from(name)) };
  };
  return { consoles, heard, watch };
}

test('of many terminals that answer the guest, it hears the first, or the one that types', async () => {
  const { heard, watch } = rig();
  const [anna, ben] = [watch('anna'), watch('ben')];
  anna.answer();
  ben.answer();
  await ben.takeKeyboard();
  anna.answer();
  ben.answer();
  ben.close();
  anna.answer();
  expect(heard).toEqual(['anna', 'ben', 'anna']);
});

test('one that may only look does not keep the others from answering', () => {
  const { heard, watch } = rig();
  const [looking, anna] = [watch('looking', false), watch('anna')];
  looking.answer();
  anna.answer();
  expect(heard).toEqual(['anna']);
});

test('the keyboard is one watcher’s at a time, and free when that one goes', async () => {
  const { consoles, watch } = rig();
  const [anna, ben] = [watch('anna'), watch('ben')];
  await anna.takeKeyboard();
  await expect(ben.takeKeyboard()).rejects.toThrow('anna has the keyboard');
  await ben.takeKeyboard(true);
  expect(consoles.keyboardHolder).toBe('ben');
  ben.close();
  expect(consoles.keyboardHolder).toBeNull();
});
