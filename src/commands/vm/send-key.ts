import { systemClock } from '../../clock.ts';
import type { LayoutName } from '../../devices/input/layout-names.ts';
import type { Engine } from '../../engine/engine.ts';
import { isAlive } from '../../engine/vm-info.ts';
import { parseChord } from '../../screen/keyboard/chord.ts';
import { type Chord, chordsOf, pressed, released } from '../../screen/keyboard/key-strokes.ts';
import { LAYOUTS } from '../../screen/keyboard/layouts.ts';
import { preferredLayout } from '../../screen/keyboard/preferred-layout.ts';
import { pause, sendInput } from '../../screen/keyboard/send-input.ts';
import { printable } from '../../text/printable.ts';
import { UsageError } from '../../text/usage-error.ts';
import { findVm } from './find.ts';

/** How long keys are held, as QEMU's sendkey does. */
export const HOLD_MS = 100;
/** Between characters: a BIOS polls its keyboard, and buffers 15 keys. */
export const DELAY_MS = 20;

type Input = Pick<Engine, 'vms' | 'input'>;

/** Presses keys, chord after chord. @param texts such as `ctrl-alt-delete` */
export async function sendKeys(
  engine: Input,
  name: string,
  texts: readonly string[],
  { holdMs = HOLD_MS }: { readonly holdMs?: number },
): Promise<void> {
  const chords = texts.map(text => {
    try {
      return parseChord(text);
    } catch (error) {
      throw new UsageError((error as Error).message);
    }
  });
  await strike(engine, running(engine, name), chords, { holdMs, delayMs: 0 });
}

export type TypeOptions = {
  readonly layout?: LayoutName;
  readonly delayMs?: number;
  readonly enter?: boolean;
};

/** Types a text on a VM's keyboard. */
export async function typeText(
  engine: Input,
  name: string,
  text: string,
  { layout: given, delayMs = DELAY_MS, enter = false }: TypeOptions,
): Promise<void> {
  const layout = given ?? preferredLayout(findVm(engine.vms(), name));
  const chords = Array.from(enter ? `${text}\n` : text).flatMap(character => {
    const found = chordsOf(layout, character);
    if (found === null)
      throw new UsageError(
        `a keyboard with the ${LAYOUTS[layout].title} layout has no ${printable(character)}: nothing was typed`,
      );
    return found;
  });
  await strike(engine, running(engine, name), chords, { holdMs: delayMs, delayMs });
}

async function strike(
  engine: Input,
  id: string,
  chords: readonly Chord[],
  { holdMs, delayMs }: { readonly holdMs: number; readonly delayMs: number },
): Promise<void> {
  for (const chord of chords) {
    try {
      await sendInput(engine, id, pressed(chord));
      await pause(systemClock, holdMs);
    } finally {
      await sendInput(engine, id, released(chord));
    }
    if (delayMs > 0) await pause(systemClock, delayMs);
  }
}

function running(engine: Input, name: string): string {
  const vm = findVm(engine.vms(), name);
  if (!isAlive(vm)) throw new Error(`${name} is ${vm.state}: start it with vring vm start ${name}`);
  return vm.id;
}
