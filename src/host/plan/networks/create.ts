import {
  checkNetwork,
  definitionPath,
  definitionText,
  type NetworkDefinition,
  type NetworkInput,
  readNetworks,
} from '../../networks/definition.ts';
import { dnsmasqFiles } from '../../networks/dnsmasq.ts';
import { listNetworks } from '../../networks/read.ts';
import { freeSubnet, guestRange, isSubnet, parseSubnet, subnetText } from '../../networks/subnet.ts';
import type { HostRoot } from '../../root.ts';
import { fileSteps } from '../file-step.ts';
import { noUndo, type Plan, planVersion } from '../plan.ts';
import * as changes from './changes.ts';
import { networkChecks } from './checks.ts';
import { startSteps } from './start.ts';
import { portChecks, stopSteps } from './stop.ts';
import { takenSubnets } from './taken.ts';

/** The settings of a new network; missing ones are chosen. */
export type NetworkRequest = Partial<NetworkInput> & {
  readonly name: string;
  /** Only define it. */
  readonly down?: boolean;
};

/** Defines a network, and brings it up. @throws if the name is taken, or the request is invalid */
export async function planNetworkCreate(root: HostRoot, request: NetworkRequest): Promise<Plan> {
  const { definitions } = readNetworks(root);
  const { down = false, ...wanted } = request;
  if (definitions.some(({ name }) => name === request.name) || root.exists(definitionPath(request.name)))
    throw new Error(`there is a network ${request.name}: choose another name, or delete it first`);
  const network = await complete(root, wanted, definitions);
  return {
    version: planVersion,
    kind: 'network',
    title: `Create the network ${network.name}`,
    devices: [],
    checks: await networkChecks(root, network),
    steps: [
      ...fileSteps(root, {
        path: definitionPath(network.name),
        content: definitionText(network),
        reason: 'what the network is',
      }),
      ...(down ? [] : startSteps(root, network)),
    ],
    assumes: [{ kind: 'exists', path: definitionPath(network.name), exists: false }],
    notes: [
      `give a VM a card in it: network: {type: network, name: ${network.name}}`,
      network.autostart
        ? 'it comes up with the manager'
        : 'it comes up when the first VM in it starts, or by vring net start',
    ],
  };
}

/** Takes a network down, and removes its definition and its leases. */
export async function planNetworkDelete(root: HostRoot, network: NetworkDefinition): Promise<Plan> {
  const { networks } = await listNetworks(root);
  const info = networks.find(({ name }) => name === network.name);
  const { leases } = dnsmasqFiles(network.name);
  return {
    version: planVersion,
    kind: 'network',
    title: `Delete the network ${network.name}`,
    devices: [],
    checks: info === undefined ? [] : portChecks(info),
    steps: [
      ...stopSteps(root, network, networks),
      ...(root.exists(leases)
        ? [
            {
              ...changes.removeFiles(leases),
              reason: 'the addresses that DHCP assigned',
              risk: null,
              undo: noUndo,
            },
          ]
        : []),
      ...fileSteps(root, {
        path: definitionPath(network.name),
        content: null,
        reason: 'VMs with a card in it no longer start',
      }),
    ],
    assumes: [],
    notes: [],
  };
}

async function complete(
  root: HostRoot,
  wanted: Omit<NetworkRequest, 'down'>,
  others: readonly NetworkDefinition[],
): Promise<NetworkDefinition> {
  const { name } = wanted;
  const subnet = wanted.subnet ?? (await chosenSubnet(root));
  // An invalid subnet is reported by checkNetwork.
  const range = isSubnet(subnet) ? guestRange(parseSubnet(subnet)) : false;
  return checkNetwork({
    ...wanted,
    name,
    subnet: range === false ? subnet : subnetText(parseSubnet(subnet)),
    bridge: wanted.bridge ?? chosenBridge(name, others),
    dhcp: wanted.dhcp ?? range,
  });
}

async function chosenSubnet(root: HostRoot): Promise<string> {
  const free = freeSubnet((await takenSubnets(root)).map(({ subnet }) => subnet));
  if (free === null) throw new Error('no private network is free: name one, such as --subnet 172.20.0.0/24');
  return subnetText(free);
}

/** `vr-default`; for a long name, its beginning and a number. */
function chosenBridge(name: string, others: readonly NetworkDefinition[]): string {
  const plain = `vr-${name}`;
  const taken = new Set(others.map(({ bridge }) => bridge));
  if (plain.length <= 15 && !taken.has(plain)) return plain;
  for (let number = 0; ; number++) {
    const end = `-${number}`;
    const bridge = `${plain.slice(0, 15 - end.length)}${end}`;
    if (!taken.has(bridge)) return bridge;
  }
}
