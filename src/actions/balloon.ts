import { isUp } from '../engine/vm-info.ts';
import { suggestedText } from '../store/layers.ts';
import { bytesOf, sizeText } from '../text/size.ts';
import { balloonOf } from '../view/balloon-facts.ts';
import { type Action, type ActionContext, NO_VM } from './action.ts';

function noBalloon({ vm }: ActionContext): string | null {
  if (vm === null) return NO_VM;
  if (!isUp(vm)) return `${vm.name} is ${vm.state}`;
  return balloonOf(vm) === null ? `${vm.name} has no balloon (balloon: true in its definition)` : null;
}

/** Actions on the memory of a running guest. */
export const balloonActions: readonly Action[] = [
  {
    name: 'balloon',
    category: 'Virtual machine',
    label: 'memory',
    phrase: 'change its memory',
    description: 'Set how much memory the balloon leaves to the guest',
    screens: ['vms', 'vm'],
    changes: 'vm',
    unavailable: noBalloon,
    run: ({ ui, vm }) => {
      const { memory, target } = balloonOf(vm!)!;
      ui.clearNotice();
      ui.store.getState().pushLayer({
        kind: 'prompt',
        prompt: `Memory for ${vm!.name} to keep, of ${sizeText(memory)}`,
        ...suggestedText(sizeText(target)),
        inRowOf: null,
        range: null,
        submit: text => {
          const size = bytesOf(text.trim());
          if (size === null) ui.notify('error', `"${text}" is not a size: expected one such as 1G`);
          else void ui.attempt(ui.engine.setBalloon(vm!.id, size));
        },
      });
    },
  },
];
