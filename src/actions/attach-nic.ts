import { parseNic } from '../definitions/create/network-option.ts';
import { nicDevice } from '../definitions/nic-device.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { type NetworkChoices, networkObstacle, networkWords } from '../host/use/network-choices.ts';
import { vmViewOf } from '../store/vm-view-slice.ts';
import { type Action, NO_VM } from './action.ts';
import { hotplugRefusal } from './attach-disk.ts';
import { openAttachForm } from './attach-form.ts';
import type { Ui } from './ui.ts';

const MAC = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i;

/** Why a network that was typed cannot be used here, in a sentence; null if it can. */
export function networkProblem(text: string, choices: NetworkChoices): string | null {
  try {
    const { network } = parseNic(text, '');
    return typeof network === 'object' ? networkObstacle(choices, network) : null;
  } catch (error) {
    return (error as Error).message.replace(/^ .*?: (?=expected|vring|[a-z]+: |[a-z]+=)/, '');
  }
}

/** Asks for the network of a new network card, and attaches it. */
export function openNicForm(ui: Ui, vm: VmInfo): void {
  const choices = ui.networkChoices();
  const words = networkWords(choices);
  openAttachForm(ui, vm, {
    what: 'a network card',
    fields: [
      {
        key: 'network',
        label: 'Network',
        hint: 'Tab completes it; settings of -nic follow a comma: user,hostfwd=...',
        words,
      },
      { key: 'mac', label: 'MAC address', hint: "derived from the VM's name, or one of your own" },
    ],
    defaults: { network: words.find(word => word.startsWith('network:')) ?? 'user', mac: 'derived' },
    main: 'network',
    problem: (value, key) => {
      const text = value(key);
      if (key === 'network') return networkProblem(text, choices);
      if (key !== 'mac' || text === 'derived' || MAC.test(text)) return null;
      return 'expected a MAC address, such as 52:54:00:12:34:56, or derived';
    },
    note: (_, key) => (key === 'network' ? `here: ${words.join(', ')}` : null),
    title: value => `a card for ${value('network')}`,
    device: value => {
      const mac = value('mac');
      const nic = parseNic(value('network'), 'network');
      return nicDevice({ ...nic, ...(MAC.test(mac) && { mac }) }, value('network'));
    },
  });
}

export const attachNicActions: readonly Action[] = [
  {
    name: 'attach-nic',
    category: 'Virtual machine',
    label: 'attach',
    phrase: 'attach a network card',
    description:
      'Attach a network card to a running VM, optionally also in its definition, or to the definition of one ' +
      'that is off',
    screens: ['vm'],
    here: ({ state, vm }) => vm !== null && vmViewOf(state, vm.id).tab === 'networks',
    bar: 39,
    changes: 'vm',
    unavailable: ({ vm }) => (vm === null ? NO_VM : hotplugRefusal(vm)),
    run: ({ ui, vm }) => openNicForm(ui, vm!),
  },
];
