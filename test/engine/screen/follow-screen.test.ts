import { expect, test } from 'vitest';
import type { ScreenFrame } from '../../../src/devices/display/screen-frame.ts';
import { followScreen } from '../../../src/engine/screen/follow-screen.ts';
import { FakeEngine } from '../../support/fake-engine.ts';
import { graphicsFrame, textFrame } from '../../support/fake-screen.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const VGA = {
  name: 'vga0',
  type: 'vga',
  title: 'VGA adapter',
  backend: null,
  bus: 'pci.0',
  address: '00:01.0',
  facts: [],
  screen: true,
} as const;

function rig(devices: readonly (typeof VGA)[] = [VGA]) {
  const engine = new FakeEngine(new ManualClock());
  engine.add('web', { vcpus: [], devices });
  return { engine, link: followScreen(engine, 'web') };
}

test('follows the picture by its changes', async () => {
  const { engine, link } = rig();
  const first = textFrame(['SeaBIOS']);
  engine.screens.show('web', first);
  expect(await link.next()).toEqual({
    frame: first,
    changed: [{ x: 0, y: 0, width: 80, height: 25 }],
    looksChanged: true,
  });
  const waiting = link.next();
  const second = textFrame(['SeaBIOS', 'Booting...']);
  engine.screens.show('web', second);
  expect(await waiting).toMatchObject({
    frame: second,
    changed: [{ x: 0, y: 1, width: 80, height: 1 }],
    looksChanged: false,
  });
  const picture = graphicsFrame(320, 200, (x, y) => x ^ y);
  engine.screens.show('web', picture);
  expect(await link.next()).toMatchObject({ frame: picture });
});

test('is off while the VM is, and continues when the VM is started again', async () => {
  const { engine, link } = rig();
  const frame = textFrame(['login:']);
  engine.screens.show('web', frame);
  expect((await link.next())?.frame).toEqual(frame);
  // A request is under way, and fails.
  engine.failure = new Error('its machine has ended');
  engine.become('web', 'off');
  const waiting = link.next();
  engine.screens.show('web', { kind: 'off' });
  expect((await waiting)?.frame.kind).toBe('off');
  const next = link.next();
  engine.screens.show('web', frame);
  engine.become('web', 'running');
  let view = await next;
  while (view?.frame.kind === 'off') view = await link.next();
  expect(view?.frame).toEqual(frame);
});

test('ends a wait when it is closed', async () => {
  const { engine, link } = rig();
  engine.screens.show('web', textFrame([]));
  await link.next();
  const waiting = link.next();
  link.close();
  expect(await waiting).toBeNull();
  expect(await link.next()).toBeNull();
});

test('is off for a VM without a screen', async () => {
  const { link } = rig([]);
  const view = await link.next();
  expect(view?.frame satisfies ScreenFrame | undefined).toEqual({ kind: 'off' });
  expect(link.problem).toBeNull();
});

test('reports why the screen cannot be shown, and tries again', async () => {
  const { engine, link } = rig();
  const { screen } = engine;
  engine.screen = async () => {
    throw new Error('the manager is vring 0.1, which cannot do that');
  };
  expect((await link.next())?.frame.kind).toBe('off');
  expect(link.problem).toBe('the manager is vring 0.1, which cannot do that');
  const waiting = link.next();
  engine.screen = screen;
  engine.screens.show('web', textFrame(['here']));
  engine.become('web', 'running');
  expect((await waiting)?.frame).toEqual(textFrame(['here']));
  expect(link.problem).toBeNull();
});
