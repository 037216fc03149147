import { PASTE_MODE_OFF, PasteMode } from '../console/paste-mode.ts';
import type { Engine } from '../engine/engine.ts';
import { outputLost, writeOut } from '../text/output.ts';
import { listenToKeyboard } from './console-keyboard.ts';
import { neverBlock } from './raw-terminal.ts';

/** Output that may wait for a slow reader, in bytes; the guest waits when there is more. */
const OUTPUT_MAX = 2 ** 20;

export type JoinedConsole = {
  /** The user left with Ctrl-], or nobody is at the other end any more: with the exit status for it. */
  readonly left: Promise<number>;
  /** Puts the terminal back. */
  restore(): void;
};

/** Joins a VM's serial port to this process's stdin and stdout: raw when stdin is a terminal, where Ctrl-] leaves. */
export function joinConsole(engine: Engine, id: string): JoinedConsole {
  const { promise: left, resolve: leave } = Promise.withResolvers<number>();
  for (const stream of [process.stdout, process.stderr]) neverBlock(stream);
  const pasteMode = new PasteMode();
  const show = showOutput(engine, id);
  const link = engine.openConsole(id, {
    printed: bytes => {
      pasteMode.printed(bytes);
      show(bytes);
    },
  });
  void link.takeKeyboard();
  // Whoever read the output is gone, or its disk is full.
  void outputLost.then(() => leave(0));
  const stopListening = listenToKeyboard({
    wantsPasteMarkers: () => pasteMode.on,
    typed: bytes => link.type(bytes),
    fed: bytes => link.feed(bytes),
    left: leave,
    inputEnded: () => {},
  });
  const restore = () => {
    link.close();
    stopListening();
    if (process.stdout.isTTY && pasteMode.on) writeOut(PASTE_MODE_OFF);
  };
  return { left, restore };
}

/** Writes to stdout. While a reader takes nothing, the guest is paused, so that its output doesn't pile up here. */
function showOutput(engine: Engine, id: string): (bytes: Uint8Array) => void {
  const { stdout } = process;
  let held = false;
  // The VM may end meanwhile: then it needs neither.
  const ignore = () => {};
  const goOn = () => {
    held = false;
    engine.resume(id).catch(ignore);
  };
  return bytes => {
    writeOut(bytes);
    if (held || stdout.writableLength < OUTPUT_MAX) return;
    held = true;
    stdout.once('drain', goOn);
    engine.pause(id).catch(ignore);
  };
}
