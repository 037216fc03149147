import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import type { Topology } from '../../vmm/machine/topology.ts';
import { AgentError, type AgentTransport, GuestAgent } from './guest-agent.ts';
import { type GuestFacts, readGuestFacts } from './guest-facts.ts';

/** How often a guest is polled: until its agent answers, and for its facts from then on. */
const FIRST_LOOK_MS = 5000;
const LONGEST_LOOK_MS = 60_000;

export type VmAgentEvents = {
  /** Types into a console of the machine. */
  readonly transport: (port: number) => AgentTransport;
  /** `facts` changed. */
  readonly changed: () => void;
};

/** The guest agent of one run of a VM: its port, and what it last reported. */
export class VmAgent {
  readonly #events: VmAgentEvents;
  #port: number | null = null;
  #agent: GuestAgent | null = null;
  #facts: GuestFacts | null = null;
  #timer: NodeJS.Timeout | null = null;
  #waitMs = FIRST_LOOK_MS;
  /** The guest's clock must be set as soon as its agent answers. */
  #isLate = false;

  constructor(events: VmAgentEvents) {
    this.#events = events;
  }

  /** What the guest last reported; null if its agent has not answered, or there is none. */
  get facts(): GuestFacts | null {
    return this.#facts;
  }

  /**
   * The guest's addresses on the network card with this MAC address, as the guest reports them; empty if it does not.
   */
  addressesOf(mac: string | null): readonly string[] {
    const found =
      mac === null ? undefined : this.#facts?.interfaces.find(each => each.mac === mac.toLowerCase());
    return found?.addresses ?? [];
  }

  /** @throws AgentError when the VM has no channel to one */
  get agent(): GuestAgent {
    if (this.#agent !== null) return this.#agent;
    throw new AgentError('the VM has no channel to a guest agent: add `agent: true` to its definition');
  }

  get isThere(): boolean {
    return this.#agent !== null;
  }

  /** Takes the agent's port from the machine's topology. */
  follow(topology: Topology | null): void {
    const port = topology?.consoles.find(({ agent }) => agent)?.port ?? null;
    if (port === this.#port) return;
    this.end('the VM has another machine');
    this.#port = port;
    if (port === null) return;
    this.#agent = new GuestAgent(this.#events.transport(port));
    this.#lookLater();
  }

  /** @returns whether the port is the agent's */
  received(port: number, bytes: Uint8Array): boolean {
    if (port !== this.#port) return false;
    this.#agent!.received(bytes);
    return true;
  }

  /** The machine is gone. */
  end(reason: string): void {
    this.#agent?.close(reason);
    this.#agent = null;
    this.#port = null;
    this.#facts = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#waitMs = FIRST_LOOK_MS;
  }

  /** The guest resumed from a saved state: its clock stood still, and its agent must set it. */
  clockStoodStill(): void {
    this.#isLate = true;
  }

  /** Asks the guest now. @throws AgentError */
  async read(): Promise<GuestFacts> {
    const { agent } = this;
    const facts = await readGuestFacts(agent);
    if (this.#agent === agent) this.#set(facts);
    return facts;
  }

  #set(facts: GuestFacts): void {
    const { at: _, ...before } = this.#facts ?? { at: 0 };
    const { at: __, ...now } = facts;
    this.#facts = facts;
    if (!isDeepStrictEqual(before, now)) this.#events.changed();
  }

  /** In nanoseconds since 1970; JSON numbers hold them to the microsecond. */
  async #setClock(): Promise<void> {
    this.#isLate = false;
    await this.agent.request('guest-set-time', {
      arguments: { time: Date.now() * 1e6 },
      returns: z.unknown(),
    });
  }

  #lookLater(): void {
    this.#timer = setTimeout(() => void this.#look(), this.#waitMs);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    const agent = this.#agent;
    try {
      await this.read();
      this.#waitMs = LONGEST_LOOK_MS;
      if (this.#isLate) await this.#setClock();
    } catch {
      // The guest is still booting, or has no agent.
      this.#waitMs = Math.min(2 * this.#waitMs, LONGEST_LOOK_MS);
    }
    if (this.#agent === agent && agent !== null) this.#lookLater();
  }
}
