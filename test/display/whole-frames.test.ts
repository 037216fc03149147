import { EventEmitter } from 'node:events';
import { Text } from 'ink';
import { createElement } from 'react';
import { expect, test } from 'vitest';
import { openFullScreen } from '../../src/display/full-screen.tsx';
import { inWholeFrames } from '../../src/display/whole-frames.ts';

const BEGIN = '\x1b[?2026h';
const END = '\x1b[?2026l';

class FakeTerminal extends EventEmitter {
  readonly isTTY = true;
  readonly columns = 20;
  readonly rows = 3;
  readonly writes: string[] = [];
  write(text: string, done?: () => void): boolean {
    this.writes.push(text);
    done?.();
    return true;
  }
}

const streamOf = (terminal: FakeTerminal) => terminal as unknown as NodeJS.WriteStream;

test('output between the brackets is one write, everything else is unchanged', () => {
  const terminal = new FakeTerminal();
  const stream = inWholeFrames(streamOf(terminal));
  let done = 0;
  stream.write('before', () => done++);
  for (const text of [BEGIN, 'one', 'two', END, 'between', BEGIN, END]) stream.write(text);
  expect(terminal.writes).toEqual(['before', `${BEGIN}onetwo${END}`, 'between', `${BEGIN}${END}`]);
  expect(done).toBe(1);
});

test('it is the same stream in all other respects', () => {
  const terminal = new FakeTerminal();
  const stream = inWholeFrames(streamOf(terminal));
  let resized = 0;
  const listener = () => resized++;
  stream.on('resize', listener);
  terminal.emit('resize');
  stream.off('resize', listener);
  terminal.emit('resize');
  expect([resized, stream.columns, stream.isTTY]).toEqual([1, 20, true]);
});

test('a frame of the UI is one write', async () => {
  const terminal = new FakeTerminal();
  const stdin = Object.assign(new EventEmitter(), { isTTY: true }) as unknown as NodeJS.ReadStream;
  const display = openFullScreen(createElement(Text, null, 'a picture'), stdin, streamOf(terminal));
  display.repaint();
  await display.close();
  const frames = terminal.writes.filter(text => text.includes('a picture'));
  expect(frames.length).toBeGreaterThan(0);
  for (const frame of frames) {
    expect(frame.startsWith(BEGIN)).toBe(true);
    expect(frame.endsWith(END)).toBe(true);
  }
});
