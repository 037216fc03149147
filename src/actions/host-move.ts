import { filterOf } from '../store/list-slice.ts';
import { bodyRows, currentScreen, shownList } from '../store/ui-slice.ts';
import { factLines } from '../view/facts.ts';
import { functionFacts } from '../view/host-facts.ts';
import type { PciRow } from '../view/host-rows.ts';
import { moveInHostList } from './cursor.ts';
import type { Ui } from './ui.ts';

/** Moves the cursor of a host list, or scrolls the screen of a function. */
export function moveInHost(ui: Ui, rows: number): void {
  const state = ui.store.getState();
  const list = shownList(state);
  if (list === null) {
    const last = Math.max(0, factsHeight(ui) - bodyRows(state));
    state.setFactsOffset(clamp(state.factsOffset + rows, 0, last));
    return;
  }
  moveInHostList(ui, ui.hostSelect.cursorRow(state, list) + rows);
}

/** The number of lines on the function's screen. */
function factsHeight(ui: Ui): number {
  const state = ui.store.getState();
  const { hostDetails, size } = state;
  const host = ui.hostSelect.view(state);
  const screen = currentScreen(state);
  if (host === null || screen.kind !== 'function') return 0;
  const details = hostDetails !== null && hostDetails.address === screen.address ? hostDetails.details : null;
  return factLines(functionFacts(host, screen.address, details), size.columns - 1).length;
}

/** Unfolds the node of the PCI tree at the cursor, or goes to its first child. */
export function unfold(ui: Ui): void {
  const state = ui.store.getState();
  const row = ui.hostSelect.rowAtCursor(state) as PciRow | null;
  if (row?.open === false) toggle(ui, row);
  else if (row?.open === true) moveInHost(ui, 1);
}

/** Folds the node at the cursor, or goes to its parent. */
export function fold(ui: Ui): void {
  const state = ui.store.getState();
  const rows = ui.hostSelect.pci(state);
  const at = ui.hostSelect.cursorRow(state, 'pci');
  const row = rows[at];
  if (row === undefined) return;
  const filtered = filterOf(state, 'pci') !== '';
  if (row.open === true && !filtered) toggle(ui, row);
  else {
    const above = rows.slice(0, at).findLastIndex(({ depth }) => depth < row.depth);
    if (above >= 0) moveInHostList(ui, above);
  }
}

/** Folds or unfolds the node of the PCI tree at the cursor. */
export function toggleFold(ui: Ui): void {
  const state = ui.store.getState();
  const row = ui.hostSelect.rowAtCursor(state) as PciRow | null;
  if (shownList(state) === 'pci' && row !== null) toggle(ui, row);
}

function toggle(ui: Ui, { key }: PciRow): void {
  const { toggled, setToggled } = ui.store.getState();
  setToggled(toggled.has(key) ? without(toggled, key) : new Set([...toggled, key]));
}

/** Marks the function at the cursor for the next command, or unmarks it, and moves to the next row. */
export function toggleMark(ui: Ui): void {
  const state = ui.store.getState();
  const address = ui.hostSelect.functionAtCursor(state);
  if (address === null) return;
  const { marked, setMarked } = state;
  setMarked(marked.has(address) ? without(marked, address) : new Set([...marked, address]));
  moveInHost(ui, 1);
}

function without<Item>(set: ReadonlySet<Item>, item: Item): ReadonlySet<Item> {
  return new Set([...set].filter(other => other !== item));
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(value, most));
}
