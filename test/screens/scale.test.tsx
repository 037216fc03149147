import { render } from 'ink-testing-library';
import { expect, test } from 'vitest';
import { moveCursor } from '../../src/actions/move.ts';
import { Ui } from '../../src/actions/ui.ts';
import { ThemeContext, UiContext } from '../../src/components/contexts.ts';
import { inputSink } from '../../src/keys/handle-key.ts';
import { TerminalInput } from '../../src/keys/terminal-input.ts';
import { VmsScreen } from '../../src/screens/vms.tsx';
import { createTheme } from '../../src/theme/theme.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { busy } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';

const ROWS = 21;

/** A UI with so many VMs. */
function listOf(count: number) {
  const clock = new ManualClock();
  const engine = new FakeEngine(clock);
  for (let index = 0; index < count; index++) engine.add(`vm-${index}`, busy);
  const picture = {
    quit: () => {},
    repaint: () => {},
    lend: () => Promise.resolve(),
    stop: async () => {},
    copy: () => {},
  };
  const ui = new Ui(engine, picture, clock);
  clock.advance(250);
  return { ui, clock, engine };
}

/** How often something asks whether it must be drawn again: for each row that exists, several times a key. */
function questionsFor(ui: Ui, act: () => void): number {
  let questions = 0;
  const { getState } = ui.store;
  ui.store.getState = () => {
    questions++;
    return getState();
  };
  act();
  ui.store.getState = getState;
  return questions;
}

function draw(ui: Ui) {
  return render(
    <ThemeContext value={createTheme({ color: false, ascii: false })}>
      <UiContext value={ui}>
        <VmsScreen size={{ columns: 100, rows: ROWS }} />
      </UiContext>
    </ThemeContext>,
  );
}

test('a key costs the same with 32 VMs as with 1024', async () => {
  const costs = [];
  for (const count of [32, 1024]) {
    const { ui } = listOf(count);
    const picture = draw(ui);
    moveCursor(ui, 30);
    costs.push(questionsFor(ui, () => moveCursor(ui, -1)));
    expect(picture.lastFrame()).toContain('> ');
    expect(picture.lastFrame()!.split('\n')).toHaveLength(ROWS);
    picture.unmount();
    await ui.close();
  }
  expect(costs[0]).toBeGreaterThan(ROWS);
  expect(costs[1]).toBe(costs[0]);
});

test('a list is sorted once per sample, not for each key', async () => {
  const { ui, engine, clock } = listOf(256);
  ui.store.getState().setSort('vms', { column: 'cpu', descending: true });
  const sorted = ui.select.visibleVms(ui.store.getState());
  expect(sorted).toHaveLength(256);
  moveCursor(ui, 100);
  expect(ui.select.visibleVms(ui.store.getState())).toBe(sorted);
  // Nor is it another list when nothing has changed places.
  engine.become('vm-3', 'running', { reason: 'nothing that it is sorted by' });
  clock.advance(1000);
  expect(ui.select.visibleVms(ui.store.getState())).toBe(sorted);
  await ui.close();
});

test('a key typed into a filter changes the state once', async () => {
  const { ui, clock } = listOf(3);
  const input = new TerminalInput(inputSink(ui), clock);
  input.push(Buffer.from('/vm-'));
  let changes = 0;
  ui.store.subscribe(() => changes++);
  input.push(Buffer.from('1'));
  expect(changes).toBe(1);
  expect(ui.select.visibleVms(ui.store.getState())).toHaveLength(1);
  await ui.close();
});
