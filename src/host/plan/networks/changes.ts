import { hostAddress, type NetworkDefinition } from '../../networks/definition.ts';
import { dnsmasqFiles } from '../../networks/dnsmasq.ts';
import { rulesetPath, tableName } from '../../networks/ruleset.ts';
import { parseSubnet } from '../../networks/subnet.ts';
import type { Change, Condition } from '../plan.ts';

/** Seconds for a command that changes the network. */
const SECONDS = 20;

export const FORWARDING = '/proc/sys/net/ipv4/ip_forward';
/** Exists while the host forwards packets because vring turned that on. */
export const FORWARDING_MARK = '/run/vring/networks/forwarding';

function run(argv: readonly [string, ...string[]], expect: readonly Condition[], within = 0): Change {
  return { action: { kind: 'run', argv, seconds: SECONDS }, expect, within };
}

/** A condition on what ip(8) reports of this process's network namespace; sysfs may show another one. */
function output(argv: readonly [string, ...string[]], what: { has?: string[]; lacks?: string[] }): Condition {
  return { kind: 'output', argv, has: what.has ?? [], lacks: what.lacks ?? [] };
}

const LINKS = ['ip', '-oneline', 'link', 'show'] as const;

export function hasBridge({ bridge }: NetworkDefinition): Condition {
  return output([...LINKS, 'type', 'bridge'], { has: [`: ${bridge}: `] });
}

export function addBridge(network: NetworkDefinition, mac: string): Change {
  const { bridge } = network;
  const kind = ['type', 'bridge', 'stp_state', '0', 'forward_delay', '0'];
  return run(['ip', 'link', 'add', 'name', bridge, 'address', mac, ...kind], [hasBridge(network)]);
}

export function removeBridge({ bridge }: NetworkDefinition): Change {
  return run(
    ['ip', 'link', 'delete', 'dev', bridge, 'type', 'bridge'],
    [output([...LINKS, 'type', 'bridge'], { lacks: [`: ${bridge}: `] })],
  );
}

export function addAddress(network: NetworkDefinition): Change {
  const { bridge, subnet } = network;
  const address = `${hostAddress(network)}/${parseSubnet(subnet).bits}`;
  return run(
    ['ip', 'address', 'add', address, 'broadcast', '+', 'dev', bridge],
    [output(['ip', '-oneline', '-4', 'address', 'show', 'dev', bridge], { has: [`inet ${address} `] })],
  );
}

export function bringUp({ bridge }: NetworkDefinition): Change {
  return run(
    ['ip', 'link', 'set', 'dev', bridge, 'up'],
    [output([...LINKS, 'up'], { has: [`: ${bridge}: `] })],
  );
}

export function setForwarding(on: boolean): Change {
  const value = on ? '1' : '0';
  return {
    action: { kind: 'write', path: FORWARDING, value },
    expect: [{ kind: 'attribute', path: FORWARDING, value }],
    within: 0,
  };
}

export function writeFile(path: string, content: string): Change {
  return {
    action: { kind: 'file', path, content, mode: 0o644, backup: null },
    expect: [{ kind: 'file', path, content }],
    within: 0,
  };
}

export function removeFiles(...paths: string[]): Change {
  return {
    action: { kind: 'remove', paths, directory: false },
    expect: paths.map(path => ({ kind: 'exists', path, exists: false })),
    within: 0,
  };
}

export function loadRules({ name, form }: NetworkDefinition): Change {
  return run(
    ['nft', '-f', rulesetPath(name)],
    [
      output(['nft', 'list', 'table', 'ip', tableName(name)], {
        has: [form === 'nat' ? 'masquerade' : 'chain forward'],
      }),
    ],
  );
}

export function deleteRules({ name }: NetworkDefinition): Change {
  return run(
    ['nft', 'delete', 'table', 'ip', tableName(name)],
    [output(['nft', '--json', 'list', 'tables'], { lacks: [`"name": "${tableName(name)}"`] })],
  );
}

/**
 * Prints a line with dnsmasq if the process of the PID file is a running dnsmasq, not a zombie (proc(5), stat), else
 * `nothing`.
 */
function whatRuns(name: string): readonly [string, ...string[]] {
  const { pid } = dnsmasqFiles(name);
  return ['sh', '-c', `grep -s '(dnsmasq) [^Z]' "/proc/$(cat '${pid}')/stat" || echo nothing`];
}

export function startDnsmasq({ name }: NetworkDefinition): Change {
  return run(
    ['dnsmasq', `--conf-file=${dnsmasqFiles(name).config}`],
    [output(whatRuns(name), { has: ['dnsmasq'] })],
    5,
  );
}

export function stopDnsmasq({ name }: NetworkDefinition): Change {
  const { pid } = dnsmasqFiles(name);
  return run(['sh', '-c', `kill "$(cat '${pid}')"`], [output(whatRuns(name), { lacks: ['dnsmasq'] })], 5);
}
