import type { NicInput } from '../fields/nics.ts';
import type { Draft, Place } from './draft.ts';
import type { QemuProblem } from './error.ts';
import { NO_NETWORK_SETTING, nicModel, parseNetwork } from './networks.ts';
import type { Settings } from './settings.ts';

/** -nic: a card and its connection. @throws OptionError */
export function readNic(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'type');
  const type = settings.require('type');
  if (type !== 'none') {
    settings.take('id');
    const card = cardOf(settings, 'mac');
    draft.addNic(place, { ...card, network: parseNetwork(type, settings) });
  }
  settings.end(NO_NETWORK_SETTING);
}

/** -netdev: a connection, for a -device. @throws OptionError */
export function readNetdev(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'type');
  const type = settings.require('type');
  const id = settings.require('id');
  draft.nameNetwork(place, id, parseNetwork(type, settings));
  settings.end(NO_NETWORK_SETTING);
}

/** -net: a card, or a connection. @throws OptionError */
export function readNet(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'type');
  const type = settings.require('type');
  if (type === 'nic') {
    const card = cardOf(settings, 'macaddr');
    const netdev = settings.take('netdev');
    settings.leaveOut(OF_A_CARD);
    if (netdev !== undefined) draft.addNic(place, { ...card, network: draft.claimNetwork(netdev) });
    else draft.legacyNics.push({ ...place, entry: card });
  } else if (type !== 'none') {
    draft.legacyNetworks.push({ ...place, entry: parseNetwork(type, settings) });
  }
  settings.end(NO_NETWORK_SETTING);
}

const OF_A_CARD = {
  vlan: 'each card has its own connection',
  name: 'cards are identified by their addresses',
  addr: 'PCI slots are assigned in the order of the devices',
  vectors: 'vring chooses how data is transferred',
};

/** Pairs each card of -net with its connection. QEMU puts all of them on one hub, which is the same for one of each. */
export function joinNets(draft: Draft): QemuProblem[] {
  const { legacyNics: nics, legacyNetworks: networks } = draft;
  if (nics.length === networks.length) {
    nics.forEach(({ entry, ...place }, index) => {
      draft.addNic(place, { ...entry, network: networks[index]!.entry });
    });
    return [];
  }
  if (networks.length === 0) {
    return [
      {
        option: nics[0]!.option,
        message: 'no network is connected to it: add -net user, or another network',
      },
    ];
  }
  if (nics.length === 0) {
    for (const place of networks) draft.leaveOut(place, 'no card is connected to it');
    return [];
  }
  const message = 'vring has no hub to connect several networks: use -nic for each card';
  return [{ option: nics[0]!.option, message }];
}

function cardOf(settings: Settings, address: string): Pick<NicInput, 'model' | 'mac'> {
  const model = settings.take('model');
  const mac = settings.take(address);
  // QEMU's own default is an e1000, or e1000e with q35.
  return { model: model === undefined ? 'e1000' : nicModel(model), ...(mac !== undefined && { mac }) };
}
