import type { NetworkDefinition } from '../../networks/definition.ts';
import { dnsmasqConfig, dnsmasqFiles } from '../../networks/dnsmasq.ts';
import { listNetworks, type NetworkInfo } from '../../networks/read.ts';
import { rulesetPath, rulesetText } from '../../networks/ruleset.ts';
import type { HostRoot } from '../../root.ts';
import { sentenceList } from '../../text.ts';
import { block, ok } from '../checks/check.ts';
import { type Change, type Check, noUndo, type Plan, planVersion, type Step, undoBy } from '../plan.ts';
import * as changes from './changes.ts';
import { startSteps } from './start.ts';

/** Takes a network down, and reverts all that it changed. */
export async function planNetworkStop(root: HostRoot, network: NetworkDefinition): Promise<Plan> {
  const { networks } = await listNetworks(root);
  const info = networks.find(({ name }) => name === network.name);
  return {
    version: planVersion,
    kind: 'network',
    title: `Take the network ${network.name} down`,
    devices: [],
    checks: info === undefined ? [] : portChecks(info),
    steps: stopSteps(root, network, networks),
    assumes: [],
    notes: info?.state === 'down' ? [`the network ${network.name} is down`] : [],
  };
}

export function portChecks({ bridge, ports }: NetworkInfo): Check[] {
  if (ports.length === 0) return [ok('network', bridge, 'nothing is attached to it')];
  return [
    block(
      'network',
      bridge,
      `${sentenceList(ports)} ${ports.length === 1 ? 'is' : 'are'} attached to it: stop the VMs, or detach their network cards`,
    ),
  ];
}

/** @param all the current state of all networks */
export function stopSteps(root: HostRoot, network: NetworkDefinition, all: readonly NetworkInfo[]): Step[] {
  const info = all.find(({ name }) => name === network.name);
  if (info === undefined || info.state === 'down') return [];
  const { name, bridge } = network;
  const files = dnsmasqFiles(name);
  const step = (change: Change, reason: string, ...undo: Change[]): Step => ({
    ...change,
    reason,
    risk: null,
    undo: undo.length === 0 ? noUndo : undoBy(...undo),
  });
  const steps: Step[] = [];
  if (info.dnsmasq !== null)
    steps.push(
      step(changes.stopDnsmasq(network), 'it serves this network only', changes.startDnsmasq(network)),
    );
  if (root.exists(files.config)) {
    steps.push(
      step(
        changes.removeFiles(files.config, files.pid),
        'what it was started with',
        changes.writeFile(files.config, dnsmasqConfig(network)),
      ),
    );
  }
  steps.push(
    step(
      changes.deleteRules(network),
      'it has the rules of this network, and no others',
      changes.loadRules(network),
    ),
    step(
      changes.removeFiles(rulesetPath(name)),
      'the rules it was loaded from',
      changes.writeFile(rulesetPath(name), rulesetText(network)),
    ),
    ...forwardingSteps(root, network, all),
  );
  const bridgeAgain = startSteps(root, network)
    .slice(0, 3)
    .map(({ action, expect, within }) => ({ action, expect, within }));
  steps.push(step(changes.removeBridge(network), `${bridge} was made for this network`, ...bridgeAgain));
  return steps;
}

/** Interfaces of other programs, which need the host to forward packets. */
const OTHERS = /^(docker|br-|virbr|lxcbr|lxdbr|incusbr|cni|wg|tun)/;

/** Turns forwarding off if vring turned it on, and nothing else seems to need it. */
function forwardingSteps(root: HostRoot, network: NetworkDefinition, all: readonly NetworkInfo[]): Step[] {
  if (network.form === 'isolated' || !root.exists(changes.FORWARDING_MARK)) return [];
  const inUse = all.some(
    ({ name, form, state }) => name !== network.name && form !== 'isolated' && state !== 'down',
  );
  const interfaces = (root.text('/proc/net/dev') ?? '').split('\n').map(line => line.trim());
  if (inUse || interfaces.some(name => OTHERS.test(name))) return [];
  return [
    {
      ...changes.setForwarding(false),
      reason: 'it was turned on for networks of vring, and this is the last one',
      risk: 'other programs that need it in the meantime lose it',
      undo: undoBy(changes.setForwarding(true)),
    },
    {
      ...changes.removeFiles(changes.FORWARDING_MARK),
      reason: 'it is off',
      risk: null,
      undo: noUndo,
    },
  ];
}
