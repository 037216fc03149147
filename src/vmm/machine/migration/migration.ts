import type { MigrateArguments, SentMachine } from '../messages.ts';
import type { Reply } from '../reply.ts';
import type { UserPause } from '../user-pause.ts';
import { Outgoing, type OutgoingOptions } from './outgoing.ts';

export type MigrationOptions = OutgoingOptions & {
  readonly pause: UserPause;
  /** Ends the machine. */
  readonly finish: (reason: string) => void;
};

const ARRIVING = 'it is arriving from another host';

/**
 * A machine's part in its migration: it is sent to another host, or has come from there. The managers decide when it
 * leaves and arrives.
 */
export class Migration {
  readonly #options: MigrationOptions;
  #outgoing: Outgoing | null = null;
  /** Why the machine must not continue by itself: the other host may have it. */
  #committed: string | null = null;
  #isArriving = false;

  constructor(options: MigrationOptions) {
    this.#options = options;
  }

  /** Why other operations have to wait; null if they do not. */
  get busy(): string | null {
    if (this.#isArriving) return `${ARRIVING}: wait until it runs here`;
    if (this.#committed !== null) return this.#committed;
    return this.#outgoing === null ? null : 'it is being migrated: wait for that, or cancel it';
  }

  /** Sends it over the socket; replies once all of it is sent, with the machine stopped. */
  begin(request: MigrateArguments, fd: number, reply: Reply<SentMachine>): void {
    let isOver = false;
    const outgoing = new Outgoing(this.#options, request, fd, (error, sent) => {
      isOver = error !== null;
      if (error === null) {
        reply.done(sent!);
        return;
      }
      this.#outgoing = null;
      reply.failed(error);
    });
    if (!isOver) this.#outgoing = outgoing;
  }

  /**
   * The other host is about to be told that it has the machine: from here on this one stays stopped, whatever happens
   * to the managers. @param reason shown with the VM. @throws if not all of it has been sent
   */
  commit(reason: string): void {
    if (this.#outgoing?.phase !== 'sent') throw new Error('it has not been sent');
    this.#committed = reason;
    this.#options.pause.failed(reason);
  }

  /** It continues here, unless all of it is gone. Does nothing if it is not being migrated. */
  end(reply: Reply<null>): void {
    const outgoing = this.#outgoing;
    if (outgoing === null) reply.done(null);
    else if (outgoing.phase === 'sent') this.#takeBack(outgoing, reply);
    else {
      outgoing.cancel('it was canceled');
      reply.done(null);
    }
  }

  /** Its user wants it to continue. @param resume ends its pause */
  resume(reply: Reply<null>, resume: () => void): void {
    const outgoing = this.#outgoing;
    if (this.#isArriving) reply.failed(`${ARRIVING}: it continues when it is complete`);
    else if (outgoing === null || this.#committed === null) {
      resume();
      reply.done(null);
    } else {
      const failed = (reason: string) => reply.failed(`${reason}; it may be running on the other host`);
      this.#takeBack(outgoing, { done: () => this.resume(reply, resume), failed }, 0n);
    }
  }

  /** Why it cannot be reset; null if it can. */
  get notReset(): string | null {
    if (this.#isArriving) return `${ARRIVING}: wait until it runs here`;
    return this.#committed;
  }

  /** Its memory is about to be cleared; while the guest runs, that is like any other write. */
  beforeReset(): void {
    if (this.#outgoing?.isStopped) this.#outgoing.cancel('the machine was reset');
  }

  /** It was loaded from what another host has sent, and stays stopped until `arrive`. */
  arrives(): void {
    this.#isArriving = true;
    this.#options.pause.failed(ARRIVING);
  }

  /** The other host has given it up. @throws if it has not come from another host */
  arrive(): void {
    if (!this.#isArriving) throw new Error('it is not arriving from another host');
    this.#isArriving = false;
    this.#options.pause.recover();
  }

  /** The manager is gone that knows how far the other host is. */
  managerGone(): void {
    if (this.#isArriving) this.#options.finish('its manager ended before it had arrived from the other host');
    else if (this.#outgoing !== null && this.#committed === null)
      this.end({ done: () => {}, failed: () => {} });
  }

  /** The machine has ended. */
  close(): void {
    this.#outgoing?.cancel('the machine has ended');
  }

  #takeBack(outgoing: Outgoing, reply: Reply<null>, patienceNs?: bigint): void {
    outgoing.takeBack(failure => {
      if (failure === null) {
        this.#outgoing = null;
        this.#committed = null;
        this.#options.pause.recover();
        reply.done(null);
        return;
      }
      if (this.#committed === null) {
        this.#committed = `its migration failed, and it cannot continue here: ${failure}`;
        this.#options.pause.failed(this.#committed);
      }
      reply.failed(failure);
    }, patienceNs);
  }
}
