import type { NicInput } from '../fields/nics.ts';
import type { Draft, LegacyNet, Place } from './draft.ts';
import { OptionError } from './error.ts';
import { NO_NETWORK_SETTING, nicModel, parseNetwork } from './networks.ts';
import type { Settings } from './settings.ts';

/** -nic: a card and its connection. @throws OptionError */
export function readNic(draft: Draft, text: string, place: Place): void {
  draft.saysNetwork = true;
  const settings = draft.settings(place, text, 'type');
  const type = settings.require('type');
  if (type !== 'none') {
    settings.take('id');
    const card = cardOf(settings, 'mac');
    settings.leaveOut(OF_A_CARD);
    draft.addNic(place, { ...card, ...parseNetwork(type, settings, draft.host) });
  }
  settings.end(NO_NETWORK_SETTING);
}

/** -netdev: a connection, for a -device. @throws OptionError */
export function readNetdev(draft: Draft, text: string, place: Place): void {
  draft.saysNetwork = true;
  const settings = draft.settings(place, text, 'type');
  const type = settings.require('type');
  const id = settings.require('id');
  const member = type === 'hubport' ? settings.take('netdev') : undefined;
  const connection = parseNetwork(type, settings, draft.host);
  const { network } = connection;
  if (member !== undefined && network.type === 'hub')
    draft.hubPorts.push({ ...place, hub: network.hub, member });
  else draft.nameNetwork(place, id, connection);
  settings.end(NO_NETWORK_SETTING);
}

/** -net: a card, or a connection. @throws OptionError */
export function readNet(draft: Draft, text: string, place: Place): void {
  draft.saysNetwork = true;
  const settings = draft.settings(place, text, 'type');
  const type = settings.require('type');
  const hub = vlanOf(settings);
  if (type === 'nic') {
    const card = cardOf(settings, 'macaddr');
    const netdev = settings.take('netdev');
    const vectors = settings.takeCount('vectors');
    settings.leaveOut(OF_A_CARD);
    const entry = { ...card, ...(vectors !== undefined && { vectors }) };
    if (netdev !== undefined) draft.addNic(place, { ...entry, ...draft.claimNetwork(netdev) });
    else draft.legacyNics.push({ ...place, hub, entry });
  } else if (type === 'dump') {
    draft.leaveOut(place, 'it only records packets: use tcpdump on the interface');
    return;
  } else if (type !== 'none') {
    settings.leaveOut({ name: NAMED, id: NAMED });
    draft.legacyNetworks.push({ ...place, hub, entry: parseNetwork(type, settings, draft.host) });
  }
  settings.end(NO_NETWORK_SETTING);
}

/** The hub of a -net, which older versions of QEMU call a VLAN. @throws OptionError */
function vlanOf(settings: Settings): number {
  const text = settings.take('vlan') ?? '0';
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new OptionError(`vlan takes a whole number, not ${text}`);
}

const NAMED = 'it is a name for the monitor of QEMU';

const OF_A_CARD = {
  name: NAMED,
  id: NAMED,
  addr: 'PCI slots are assigned in the order of the devices',
};

/**
 * Connects the cards of -net with its networks. All with the same vlan= are on one hub; a single card with a single
 * network needs none.
 */
export function joinNets(draft: Draft): void {
  const { legacyNics, legacyNetworks } = draft;
  const hubs = new Set([...legacyNics, ...legacyNetworks].map(({ hub }) => hub));
  for (const hub of hubs) {
    const nics = legacyNics.filter(each => each.hub === hub);
    const networks = legacyNetworks.filter(each => each.hub === hub);
    if (draft.hubPorts.every(port => port.hub !== hub) && nics.length <= 1 && networks.length <= 1)
      joinPair(draft, nics[0], networks[0]);
    else joinHub(draft, hub, nics, networks);
  }
  for (const { hub, member, ...place } of draft.hubPorts)
    draft.addHubMember(place, hub, draft.claimNetwork(member).network);
}

/**
 * Adds the card of a guest that firmware boots, if no option configures its network (QEMU's manual, -nic none). A
 * kernel that is booted directly has no card, as it has no screen.
 */
export function addDefaultCard(draft: Draft): void {
  if (draft.saysNetwork || draft.noDefaults || draft.fields.machine?.kernel !== undefined) return;
  draft.addNic({ at: Number.POSITIVE_INFINITY, option: '-nic user' }, { network: 'user' });
}

type Nic = LegacyNet<NicInput>;
type Network = Draft['legacyNetworks'][number];

function joinPair(draft: Draft, nic: Nic | undefined, network: Network | undefined): void {
  if (nic === undefined) {
    if (network !== undefined) draft.leaveOut(network, 'no card is connected to it');
    return;
  }
  const { at, option, entry } = nic;
  if (network === undefined)
    draft.leaveOut(nic, 'no network is connected to it: the card has no link', 'nic');
  draft.addNic({ at, option }, { ...entry, ...(network?.entry ?? { network: 'none' as const }) });
}

function joinHub(draft: Draft, hub: number, nics: readonly Nic[], networks: readonly Network[]): void {
  for (const { at, option, entry } of nics)
    draft.addNic({ at, option }, { ...entry, network: { type: 'hub', hub } });
  for (const { entry, ...place } of networks) draft.addHubMember(place, hub, entry.network);
}

/** Without a model, it is the machine's usual one. */
function cardOf(settings: Settings, address: string): Pick<NicInput, 'model' | 'mac'> {
  const model = settings.take('model');
  const mac = settings.take(address);
  return {
    ...(model !== undefined && { model: nicModel(model) }),
    ...(mac !== undefined && { mac }),
  };
}
