import * as z from 'zod';
import { AgentSilence, type GuestAgent } from './guest-agent.ts';

/** What a guest reports about itself, as far as its agent supports it. */
export type GuestFacts = {
  /** The agent's. */
  readonly version: string;
  readonly hostname: string | null;
  /** `Debian GNU/Linux 12 (bookworm)`. */
  readonly os: string | null;
  readonly kernel: string | null;
  readonly interfaces: readonly GuestInterface[];
  readonly filesystems: readonly GuestFilesystem[];
  /** Users logged in. */
  readonly users: readonly string[];
  /** Milliseconds since 1970, by the host's clock. */
  readonly at: number;
};

export type GuestInterface = {
  readonly name: string;
  /** Lower case; null if it has none. */
  readonly mac: string | null;
  /** Without loopback and link-local addresses. */
  readonly addresses: readonly string[];
};

/** Bytes; null if the agent does not report it. */
export type GuestFilesystem = {
  readonly mountpoint: string;
  readonly type: string;
  readonly total: number | null;
  readonly used: number | null;
};

const text = z.string().max(255);
const MANY = 128;
const bytes = z.number().min(0).max(Number.MAX_SAFE_INTEGER);

const info = z.object({ version: text });
const hostname = z.object({ 'host-name': text });
const os = z.object({
  'pretty-name': text.optional(),
  name: text.optional(),
  version: text.optional(),
  'kernel-release': text.optional(),
});
const interfaces = z
  .array(
    z.object({
      name: text,
      'hardware-address': text.optional(),
      'ip-addresses': z
        .array(z.object({ 'ip-address': text, 'ip-address-type': text }))
        .max(MANY)
        .optional(),
    }),
  )
  .max(MANY);
const filesystems = z
  .array(
    z.object({
      mountpoint: z.string().max(4096),
      type: text,
      'total-bytes': bytes.optional(),
      'used-bytes': bytes.optional(),
    }),
  )
  .max(MANY);
const users = z.array(z.object({ user: text })).max(MANY);

/** Asks a guest's agent for all facts. @throws AgentError when it does not answer */
export async function readGuestFacts(agent: GuestAgent): Promise<GuestFacts> {
  const { version } = await agent.request('guest-info', { returns: info });
  /** An agent may lack a command, or have it blocked. */
  const ask = async <Schema extends z.ZodType>(
    command: string,
    returns: Schema,
  ): Promise<z.output<Schema> | null> => {
    try {
      return await agent.request(command, { returns });
    } catch (error) {
      if (error instanceof AgentSilence) throw error;
      return null;
    }
  };
  const host = await ask('guest-get-host-name', hostname);
  const system = await ask('guest-get-osinfo', os);
  const cards = (await ask('guest-network-get-interfaces', interfaces)) ?? [];
  const mounted = (await ask('guest-get-fsinfo', filesystems)) ?? [];
  const here = (await ask('guest-get-users', users)) ?? [];
  return {
    version,
    hostname: host?.['host-name'] ?? null,
    os: system?.['pretty-name'] ?? ([system?.name, system?.version].filter(part => part).join(' ') || null),
    kernel: system?.['kernel-release'] ?? null,
    interfaces: cards.map(card => ({
      name: card.name,
      mac: card['hardware-address']?.toLowerCase() ?? null,
      addresses: (card['ip-addresses'] ?? []).map(each => each['ip-address']).filter(reachesOthers),
    })),
    filesystems: mounted.map(each => ({
      mountpoint: each.mountpoint,
      type: each.type,
      total: each['total-bytes'] ?? null,
      used: each['used-bytes'] ?? null,
    })),
    users: [...new Set(here.map(({ user }) => user))],
    at: Date.now(),
  };
}

function reachesOthers(address: string): boolean {
  return !/^(127\.|::1$|fe80:)/i.test(address);
}
