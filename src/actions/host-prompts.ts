import type { VfSettings } from '../host/plan/plan.ts';
import type { VfAttributes } from '../host/sriov/ip-link.ts';
import type { PhysicalFunction, VirtualFunction } from '../host/sriov/read.ts';
import { parseVfSettings } from '../host/sriov/vf-settings.ts';
import { shownList } from '../store/ui-slice.ts';
import { textEdit } from '../text/text-edit.ts';
import { askForChange } from './host-change.ts';
import type { Ui } from './ui.ts';

/** Prompts for the number of VFs: in the SR-IOV list, right where it is shown. */
export function editCount(ui: Ui, { address, current, total }: PhysicalFunction): void {
  const state = ui.store.getState();
  state.pushLayer({
    kind: 'prompt',
    prompt: `VFs of ${address}: a number from 0 to ${total}, ${current} now`,
    edit: textEdit(),
    fresh: false,
    inRowOf: shownList(state) === 'sriov' ? address : null,
    range: { least: 0, most: total, now: current },
    submit: text => {
      if (text === '') throw new Error(`how many VFs? A number from 0 to ${total}`);
      void ui.attempt(askForChange(ui, { kind: 'vf-count', address, count: Number(text), persist: false }));
    },
  });
}

/** Prompts for the settings of a VF, in the syntax of `vring sriov vf`. */
export function editSettings(
  ui: Ui,
  { address }: PhysicalFunction,
  { index, attributes }: VirtualFunction,
): void {
  if (attributes === null) return;
  ui.store.getState().pushLayer({
    kind: 'prompt',
    prompt: `VF ${index}`,
    edit: textEdit(settingWords(attributes).join(' ')),
    fresh: false,
    inRowOf: null,
    range: null,
    submit: text => {
      const settings = changed(parseVfSettings(text.split(/\s+/).filter(Boolean)), attributes);
      if (Object.keys(settings).length === 0) throw new Error('these settings are in effect already');
      void ui.attempt(askForChange(ui, { kind: 'vf-attributes', address, index, settings, persist: false }));
    },
  });
}

/** The present settings, as far as the driver reports them. */
function settingWords({ mac, vlan, trust, spoofCheck }: VfAttributes): string[] {
  const onOff = (on: boolean) => (on ? 'on' : 'off');
  return [
    ...(mac === null ? [] : [`mac=${mac}`]),
    `vlan=${vlan}`,
    ...(trust === null ? [] : [`trust=${onOff(trust)}`]),
    ...(spoofCheck === null ? [] : [`spoofchk=${onOff(spoofCheck)}`]),
  ];
}

function changed(settings: VfSettings, now: VfAttributes): VfSettings {
  const entries = Object.entries(settings) as [keyof VfAttributes, never][];
  return Object.fromEntries(entries.filter(([name, value]) => now[name] !== value));
}
