import { PASTE_MODE_OFF, PasteMode } from '../../console/paste-mode.ts';
import type { Engine } from '../../engine/engine.ts';
import { thisTerminal } from '../../engine/this-terminal.ts';
import { COM1, keyboardHolderOf } from '../../engine/vm-consoles.ts';
import type { VmInfo } from '../../engine/vm-info.ts';
import { isAlive } from '../../engine/vm-info.ts';
import { outputLost, printError, writeErr, writeOut } from '../../text/output.ts';
import { printable } from '../../text/printable.ts';
import { UsageError } from '../../text/usage-error.ts';
import { listenToKeyboard } from '../console-keyboard.ts';
import { endingSignal } from '../ending-signal.ts';
import { neverBlock } from '../raw-terminal.ts';
import { reportSize } from '../terminal-console.ts';
import { findVm } from './find.ts';

/** Bytes of output buffered for a slow reader. Beyond this output is dropped, so that other clients do not wait. */
const OUTPUT_MAX = 2 ** 20;

/** Attaches this terminal to a VM's serial console until Ctrl-], or until the VM ends. @returns the exit status */
export async function watchConsole(
  engine: Engine,
  name: string,
  { take = false, port }: { readonly take?: boolean; readonly port?: string },
): Promise<number> {
  const vm = findVm(engine.vms(), name);
  if (!isAlive(vm)) throw new Error(`${name} is ${vm.state}: start it with vring vm start ${name}`);
  const session = new ConsoleSession(engine, vm, portOf(vm, port));
  const signal = endingSignal();
  try {
    await session.takeKeyboard(take);
    session.listen();
    return await Promise.race([session.left, signal.status]);
  } finally {
    session.close();
    signal.ignore();
  }
}

/** The console with this name or number. @throws UsageError */
function portOf({ name, topology }: VmInfo, given: string | undefined): number {
  if (given === undefined) return COM1;
  const consoles = topology?.consoles ?? [];
  const found = consoles.find(each => each.name === given || String(each.port) === given);
  if (found !== undefined) return found.port;
  throw new UsageError(
    `${name} has no console ${printable(given)}: expected one of ${consoles.map(each => each.name).join(', ')}`,
  );
}

class ConsoleSession {
  /** With the exit status. */
  readonly left: Promise<number>;
  readonly #leave: (status: number) => void;
  readonly #name: string;
  readonly #terminal = process.stdin.isTTY === true;
  readonly #link: ReturnType<Engine['openConsole']>;
  readonly #unsubscribe: () => void;
  readonly #forgetSize: () => void;
  readonly #me = thisTerminal();
  readonly #pasteMode = new PasteMode();
  #stopListening: () => void = () => {};
  #keyboardHolder: string | null;
  readonly #port: number;
  #mine = false;
  #tooSlow = false;
  /** Serializes input: in order, and before the keyboard is released. */
  #typing: Promise<void> = Promise.resolve();

  constructor(engine: Engine, vm: VmInfo, port: number) {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.left = promise;
    this.#leave = resolve;
    this.#name = vm.name;
    this.#port = port;
    this.#keyboardHolder = keyboardHolderOf(vm, port);
    for (const stream of [process.stdout, process.stderr]) neverBlock(stream);
    void outputLost.then(() => resolve(0));
    if (this.#terminal) this.#note(`console of ${vm.name}; Ctrl-] detaches`);
    this.#link = engine.openConsole(vm.id, { printed: bytes => this.#printed(bytes) }, { port });
    this.#forgetSize = reportSize(this.#link);
    this.#unsubscribe = engine.subscribe(event => {
      if (event.kind === 'vm' && event.vm.name === vm.name) this.#changed(event.vm);
      if (event.kind === 'removed' && event.id === vm.id) this.#ended(`${vm.name} was deleted`, 0);
      if (event.kind === 'link') this.#note(event.loss?.text ?? 'reattached to the manager');
    });
  }

  /** Starts reading input; earlier input is still buffered. */
  listen(): void {
    this.#stopListening = listenToKeyboard({
      wantsPasteMarkers: () => this.#pasteMode.on,
      typed: bytes => {
        this.#typing = this.#typing.then(() => this.#type(bytes));
      },
      fed: bytes => {
        this.#typing = this.#typing.then(() => this.#feed(bytes));
        return this.#typing;
      },
      left: this.#leave,
      // Lets others type.
      inputEnded: () => void this.#typing.then(() => this.#link.releaseKeyboard()),
    });
  }

  /** Takes the keyboard if it is free, or always with `take`. */
  async takeKeyboard(take: boolean): Promise<void> {
    try {
      await this.#link.takeKeyboard(take);
      this.#mine = true;
    } catch (error) {
      // Input from a file or a pipe must be delivered in full or not at all.
      if (!this.#terminal)
        throw new Error(`${this.#name}: ${(error as Error).message}; --take takes the keyboard`);
      this.#note(
        `${(error as Error).message}; view only (vring vm console --take${this.#port === COM1 ? '' : ` --port ${this.#port}`} ${this.#name} takes the keyboard)`,
      );
    }
  }

  close(): void {
    this.#forgetSize();
    this.#link.close();
    this.#unsubscribe();
    this.#stopListening();
    if (this.#terminal && this.#pasteMode.on) writeOut(PASTE_MODE_OFF);
  }

  async #type(bytes: Uint8Array): Promise<void> {
    if (!this.#mine && this.#keyboardHolder === null) await this.takeKeyboard(false);
    if (this.#mine) this.#link.type(bytes);
  }

  async #feed(bytes: Uint8Array): Promise<void> {
    if (!this.#mine && this.#keyboardHolder === null) await this.takeKeyboard(false);
    if (this.#mine) await this.#link.feed(bytes).catch(() => {});
  }

  #printed(bytes: Uint8Array): void {
    const { stdout } = process;
    if (stdout.writableLength < OUTPUT_MAX) {
      this.#tooSlow = false;
      this.#pasteMode.printed(bytes);
      writeOut(bytes);
    } else if (!this.#tooSlow) {
      this.#tooSlow = true;
      this.#note('this terminal is too slow: some output was dropped');
    }
  }

  #changed(vm: VmInfo): void {
    if (!isAlive(vm)) {
      const why = vm.reason === null ? '' : `: ${vm.reason}`;
      this.#ended(`${vm.name} is ${vm.state}${why}`, vm.state === 'crashed' ? 1 : 0);
    }
    const holder = keyboardHolderOf(vm, this.#port);
    if (holder === this.#keyboardHolder) return;
    this.#keyboardHolder = holder;
    if (holder !== null && holder !== this.#me) this.#mine = false;
    if (this.#mine || holder === this.#me) return;
    this.#note(
      holder === null ? 'the keyboard is free; press a key to take it' : `${holder} has the keyboard now`,
    );
  }

  #ended(text: string, status: number): void {
    this.#note(text);
    this.#leave(status);
  }

  /** A message between the guest's output. */
  #note(text: string): void {
    if (this.#terminal) writeErr(`\r\n[vring: ${printable(text)}]\r\n`);
    else printError(`vring: ${text}`);
  }
}
