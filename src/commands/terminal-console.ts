import { PASTE_MODE_OFF, PasteMode } from '../console/paste-mode.ts';
import type { ConsoleLink, Engine } from '../engine/engine.ts';
import { outputLost, writeOut } from '../text/output.ts';
import { listenToKeyboard } from './console-keyboard.ts';
import { neverBlock } from './raw-terminal.ts';

/** Bytes of output buffered for a slow reader; beyond this the guest is paused. */
const OUTPUT_MAX = 2 ** 20;

export type JoinedConsole = {
  /** Resolves with the exit status when the user presses Ctrl-], or the terminal or reader is gone. */
  readonly left: Promise<number>;
  /** Restores the terminal. */
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
  const forgetSize = reportSize(link);
  void link.takeKeyboard();
  // The reader of the output is gone, or the disk is full.
  void outputLost.then(() => leave(0));
  const stopListening = listenToKeyboard({
    wantsPasteMarkers: () => pasteMode.on,
    typed: bytes => link.type(bytes),
    fed: bytes => link.feed(bytes),
    left: leave,
    inputEnded: () => {},
  });
  const restore = () => {
    forgetSize();
    link.close();
    stopListening();
    if (process.stdout.isTTY && pasteMode.on) writeOut(PASTE_MODE_OFF);
  };
  return { left, restore };
}

/** Sends the guest the size of the terminal on stdout, and every change. @returns a function that stops this */
export function reportSize(link: ConsoleLink): () => void {
  const { stdout } = process;
  const report = () => {
    const { columns, rows } = stdout;
    // Undefined without a terminal, and zero on one that does not know its size.
    if (columns > 0 && rows > 0) link.setSize({ columns, rows });
  };
  report();
  stdout.on('resize', report);
  return () => stdout.off('resize', report);
}

/** Writes to stdout. Pauses the guest while the reader is stuck, so that output does not pile up here. */
function showOutput(engine: Engine, id: string): (bytes: Uint8Array) => void {
  const { stdout } = process;
  let held = false;
  // The VM may have ended in the meantime.
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
