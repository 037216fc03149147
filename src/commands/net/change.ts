import { networkNamed } from '../../host/networks/definition.ts';
import {
  type NetworkRequest,
  planNetworkCreate,
  planNetworkDelete,
} from '../../host/plan/networks/create.ts';
import { planNetworkStart } from '../../host/plan/networks/start.ts';
import { planNetworkStop } from '../../host/plan/networks/stop.ts';
import type { HostRoot } from '../../host/root.ts';
import { UsageError } from '../../text/usage-error.ts';
import { type ChangeContext, type ChangeOptions, carryOut, systemContext } from '../host/change.ts';

const PLANS = { start: planNetworkStart, stop: planNetworkStop, delete: planNetworkDelete } as const;

export async function changeNetwork(
  root: HostRoot,
  kind: keyof typeof PLANS,
  name: string,
  options: ChangeOptions,
  context: ChangeContext = systemContext(root, options),
): Promise<number> {
  return await carryOut(() => PLANS[kind](root, networkNamed(root, name)), options, context);
}

export type CreateOptions = ChangeOptions & {
  readonly subnet?: string;
  readonly routed?: boolean;
  readonly isolated?: boolean;
  readonly bridge?: string;
  /** False for --no-dhcp; true by default. */
  readonly dhcp?: string | boolean;
  readonly dns?: boolean;
  readonly domain?: string;
  readonly reserve?: readonly string[];
  readonly autostart?: boolean;
  readonly down?: boolean;
};

export async function createNetwork(
  root: HostRoot,
  name: string,
  options: CreateOptions,
  context: ChangeContext = systemContext(root, options),
): Promise<number> {
  const request = requestOf(name, options);
  return await carryOut(() => planNetworkCreate(root, request), options, context);
}

/** @throws UsageError */
export function requestOf(name: string, options: CreateOptions): NetworkRequest {
  const { subnet, routed, isolated, bridge, dhcp, dns, domain, reserve = [], autostart, down } = options;
  return {
    name,
    form: routed ? 'routed' : isolated ? 'isolated' : 'nat',
    ...(subnet !== undefined && { subnet }),
    ...(bridge !== undefined && { bridge }),
    ...(dhcp === false && { dhcp: false }),
    ...(typeof dhcp === 'string' && { dhcp: rangeOf(dhcp) }),
    dns: dns !== false,
    ...(domain !== undefined && { domain }),
    reservations: reserve.map(reservationOf),
    autostart: autostart === true,
    down: down === true,
  };
}

function rangeOf(text: string) {
  const [start, end, more] = text.split('-');
  if (!start || !end || more !== undefined)
    throw new UsageError(`--dhcp ${text}: expected two addresses, such as 192.168.150.10-192.168.150.99`);
  return { start, end };
}

function reservationOf(text: string) {
  const [, mac, address, name] = /^([^=]+)=([^,]+)(?:,(.+))?$/.exec(text) ?? [];
  if (mac === undefined || address === undefined)
    throw new UsageError(
      `--reserve ${text}: expected a MAC address and an address, such as 52:54:00:12:34:56=192.168.150.10`,
    );
  return { mac, address, ...(name !== undefined && { name }) };
}
