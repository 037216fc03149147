import type { MachineEnd } from './messages.ts';

/** Why a machine ends. The first reason wins. */
export class Ending {
  readonly #ended: () => void;
  #end: MachineEnd | null = null;

  /** @param ended called with each reason: the machine should leave its loop after the present event */
  constructor(ended: () => void) {
    this.#ended = ended;
  }

  /** Null while the machine runs. */
  get end(): MachineEnd | null {
    return this.#end;
  }

  finish(reason: string, exitCode: number | null = null): void {
    this.#stop({ crashed: false, reason, detail: null, exitCode });
  }

  crash({ reason, detail = null }: { readonly reason: string; readonly detail?: string | null }): void {
    this.#stop({ crashed: true, reason, detail, exitCode: null });
  }

  #stop(end: MachineEnd): void {
    this.#end ??= end;
    this.#ended();
  }
}
