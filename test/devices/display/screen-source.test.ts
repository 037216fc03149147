import { expect, test } from 'vitest';
import type { ScreenCanvas } from '../../../src/devices/display/screen-canvas.ts';
import { NOTHING_SEEN, type ScreenUpdate } from '../../../src/devices/display/screen-frame.ts';
import { ScreenSource } from '../../../src/devices/display/screen-source.ts';
import { DeviceClock } from '../../support/device-clock.ts';
import { textFrame } from '../../support/fake-screen.ts';

function rig() {
  const clock = new DeviceClock();
  const log: string[] = [];
  let line = 'one';
  let frames = 0;
  const source = new ScreenSource(
    clock,
    {
      watched: watched => log.push(watched ? 'watched' : 'unwatched'),
      paint: (canvas: ScreenCanvas, all) => {
        log.push(all ? 'all' : 'paint');
        canvas.text(textFrame([line]));
      },
    },
    count => {
      frames += count;
    },
  );
  return {
    clock,
    log,
    source,
    frames: () => frames,
    show: (text: string) => {
      line = text;
    },
  };
}

test('draws only while it has a viewer, and for some time after', () => {
  const { clock, log, source, frames } = rig();
  clock.advance(10_000);
  expect([log, source.isWatched]).toEqual([[], false]);
  const update: (ScreenUpdate | null)[] = [];
  source.next(NOTHING_SEEN, each => update.push(each));
  expect(log).toEqual(['watched', 'all']);
  expect(update).toHaveLength(1);
  clock.advance(999);
  expect(source.isWatched).toBe(true);
  clock.advance(2);
  expect([source.isWatched, log.at(-1), frames()]).toEqual([false, 'unwatched', 1]);
});

test('updates a viewer when something has changed, at most 30 times a second', () => {
  const { clock, log, source, show, frames } = rig();
  let update: ScreenUpdate | null = null;
  let answers = 0;
  const ask = () =>
    source.next(update?.seen ?? NOTHING_SEEN, each => {
      update = each;
      answers++;
    });
  ask();
  ask();
  expect(answers).toBe(1);
  clock.advance(500);
  expect(answers).toBe(1);
  show('two');
  clock.advance(33);
  expect(answers).toBe(2);
  expect(log.filter(each => each !== 'watched').length).toBeLessThan(20);
  const before = frames();
  for (let round = 0; round < 10; round++) {
    show(`round ${round}`);
    ask();
    clock.advance(10);
  }
  expect(frames() - before).toBeLessThanOrEqual(4);
  expect(frames() - before).toBeGreaterThanOrEqual(3);
});

test('sends an empty update to a viewer after two seconds without a change', () => {
  const { clock, source } = rig();
  let update: ScreenUpdate | null = null;
  source.next(NOTHING_SEEN, each => {
    update = each;
  });
  const answers: (ScreenUpdate | null)[] = [];
  source.next(update!.seen, each => answers.push(each));
  clock.advance(1900);
  expect(answers).toEqual([]);
  clock.advance(200);
  expect(answers).toEqual([null]);
});

test('handles a viewer that no longer waits, and one whose device is gone', () => {
  const { clock, source, show } = rig();
  let update: ScreenUpdate | null = null;
  source.next(NOTHING_SEEN, each => {
    update = each;
  });
  const answers: string[] = [];
  const cancel = source.next(update!.seen, () => answers.push('canceled'));
  source.next(update!.seen, each => answers.push(each === null ? 'nothing' : 'update'));
  cancel();
  source.close();
  show('later');
  clock.advance(1000);
  expect(answers).toEqual(['nothing']);
  expect(source.isWatched).toBe(false);
});
