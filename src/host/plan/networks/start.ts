import { createHash } from 'node:crypto';
import type { NetworkDefinition } from '../../networks/definition.ts';
import { dnsmasqConfig, dnsmasqFiles, wantsDnsmasq } from '../../networks/dnsmasq.ts';
import { rulesetPath, rulesetText } from '../../networks/ruleset.ts';
import type { HostRoot } from '../../root.ts';
import { type Change, noUndo, type Plan, planVersion, type Step, undoBy } from '../plan.ts';
import * as changes from './changes.ts';
import { networkChecks } from './checks.ts';

/** Brings a network up, keeping what already exists. */
export async function planNetworkStart(root: HostRoot, network: NetworkDefinition): Promise<Plan> {
  return {
    version: planVersion,
    kind: 'network',
    title: `Bring the network ${network.name} up`,
    devices: [],
    checks: await networkChecks(root, network),
    steps: startSteps(root, network),
    assumes: [],
    notes: [],
  };
}

export function startSteps(root: HostRoot, network: NetworkDefinition): Step[] {
  const { name, form, bridge } = network;
  const files = dnsmasqFiles(name);
  const step = (change: Change, reason: string, ...undo: Change[]): Step => ({
    ...change,
    reason,
    risk: null,
    undo: undo.length === 0 ? noUndo : undoBy(...undo),
  });
  return [
    step(
      changes.addBridge(network, bridgeMac(name)),
      'a virtual switch, which guests are attached to; its MAC address stays the same',
      changes.removeBridge(network),
    ),
    step(changes.addAddress(network), "the host's address in it"),
    step(changes.bringUp(network), 'a bridge that is down forwards nothing'),
    ...(form === 'isolated' ? [] : forwardingSteps(root)),
    step(
      changes.writeFile(rulesetPath(name), rulesetText(network)),
      RULES[form],
      changes.removeFiles(rulesetPath(name)),
    ),
    step(
      changes.loadRules(network),
      `its own nftables table, for ${bridge} alone`,
      changes.deleteRules(network),
    ),
    ...(wantsDnsmasq(network)
      ? [
          step(
            changes.writeFile(files.config, dnsmasqConfig(network)),
            `DHCP and DNS on ${bridge}, and on no other interface`,
            changes.removeFiles(files.config),
          ),
          ...(root.exists(files.leases)
            ? []
            : [
                step(
                  changes.writeFile(files.leases, ''),
                  'the addresses that DHCP has assigned are kept here',
                ),
              ]),
          step(
            changes.startDnsmasq(network),
            'it serves DHCP and DNS',
            changes.stopDnsmasq(network),
            changes.removeFiles(files.pid),
          ),
        ]
      : []),
  ];
}

const RULES = {
  nat: "guests' packets leave with the host's address, and only answers come in",
  routed: "guests' packets pass as they are, in both directions",
  isolated: "guests' packets pass among them, and to the host",
} as const;

/** Without the mark, forwarding was already on, or another program has turned it on. */
function forwardingSteps(root: HostRoot): Step[] {
  if (root.attribute(changes.FORWARDING) === '1') return [];
  return [
    {
      ...changes.writeFile(changes.FORWARDING_MARK, 'The host forwards packets for networks of vring.\n'),
      reason: 'so that it is turned off again with the last network',
      risk: null,
      undo: undoBy(changes.removeFiles(changes.FORWARDING_MARK)),
    },
    {
      ...changes.setForwarding(true),
      reason: 'the host passes packets on between guests and other networks',
      risk: 'the host forwards between its other networks, too, unless its firewall forbids that',
      undo: undoBy(changes.setForwarding(false)),
    },
  ];
}

/** An address in the range for virtual machines, the same at each start. */
function bridgeMac(name: string): string {
  const hash = createHash('sha256').update(`vring network ${name}`).digest();
  return ['52', '54', '00', ...[...hash.subarray(0, 3)].map(byte => byte.toString(16).padStart(2, '0'))].join(
    ':',
  );
}
