import { render } from 'ink-testing-library';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { moveCursor } from '../../../src/actions/move.ts';
import { Ui } from '../../../src/actions/ui.ts';
import { ThemeContext, UiContext } from '../../../src/components/contexts.ts';
import { HostClient } from '../../../src/host-service/client.ts';
import { hostParts } from '../../../src/host-service/delta.ts';
import type { Channel } from '../../../src/host-service/protocol.ts';
import { readHost } from '../../../src/host-service/read-host.ts';
import { emptyHost, type HostReading } from '../../../src/host-service/snapshot.ts';
import type { HostSource } from '../../../src/host-service/source.ts';
import { ScreenPicture } from '../../../src/screens/screens.tsx';
import { createTheme } from '../../../src/theme/theme.ts';
import { scaleTree } from '../../host/trees/scale.ts';
import { FakeEngine } from '../../support/fake-engine.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const ROWS = 21;
const tree = scaleTree();
let host: HostReading;
beforeAll(async () => {
  host = await readHost(tree.root());
}, 60_000);
afterAll(() => tree.remove());

/** A host whose thread never says anything: what it has read is put into the store by hand. */
const silentHost: HostSource = {
  unchangeable: null,
  recording: null,
  connect: () => ({
    client: new HostClient({ postMessage: () => {}, on: () => {} } as unknown as Channel),
    onLost: () => {},
    close: async () => {},
  }),
};

let ui: Ui;
beforeEach(() => {
  const clock = new ManualClock();
  ui = new Ui(
    new FakeEngine(clock),
    { quit: () => {}, repaint: () => {}, lend: use => use(), stop: async () => {}, copy: () => {} },
    clock,
    { host: silentHost },
  );
  ui.store.getState().hostRead(hostParts(emptyHost, host));
  return () => ui.close();
});

describe.each(['pci', 'iommu', 'vfio'] as const)('with 4,096 functions, the list %s', list => {
  /** What listens to the store: each row that exists does so several times. */
  function countListeners() {
    let listeners = 0;
    const { subscribe } = ui.store;
    ui.store.subscribe = listener => {
      const unsubscribe = subscribe(listener);
      listeners++;
      return () => {
        listeners--;
        unsubscribe();
      };
    };
    return () => listeners;
  }

  function draw() {
    return render(
      <ThemeContext value={createTheme({ color: false, ascii: false })}>
        <UiContext value={ui}>
          <ScreenPicture screen={{ kind: list }} size={{ columns: 100, rows: ROWS }} />
        </UiContext>
      </ThemeContext>,
    );
  }

  test('renders only visible rows, wherever the cursor is', () => {
    const listeners = countListeners();
    ui.store.getState().openScreen({ kind: list });
    const picture = draw();
    const atStart = listeners();
    expect(ui.hostSelect.lists[list](ui.store.getState()).length).toBeGreaterThan(63);
    expect(atStart).toBeLessThan(ROWS * 12);
    for (const rows of [1, 30, 2000, Number.POSITIVE_INFINITY, -1]) {
      moveCursor(ui, rows);
      expect(picture.lastFrame()).toContain('>');
      expect(listeners()).toBeLessThan(ROWS * 12);
    }
    picture.unmount();
    expect(listeners()).toBe(0);
  });

  test('is built once, not for each key', () => {
    ui.store.getState().openScreen({ kind: list });
    const rows = ui.hostSelect.lists[list](ui.store.getState());
    moveCursor(ui, 100);
    expect(ui.hostSelect.lists[list](ui.store.getState())).toBe(rows);
  });
});

test('all 4,096 functions are listed', () => {
  expect(host.functions.size).toBe(4096);
  expect(ui.hostSelect.iommu(ui.store.getState())).toHaveLength(4096);
});
