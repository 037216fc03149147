import { deviceTable } from '../../devices/registry.ts';
import type { DefinitionInput } from '../schema.ts';
import { shown } from '../words.ts';
import { OptionError } from './error.ts';

type DeviceInput = NonNullable<DefinitionInput['devices']>[number];

/** What QEMU does when a watchdog expires, by its name here. */
const ACTIONS: Readonly<Record<string, string>> = {
  ...{ reset: 'reset', shutdown: 'shutdown', poweroff: 'poweroff', pause: 'pause', none: 'none' },
  // Prints a message.
  debug: 'none',
};

function isWatchdog(type: string): boolean {
  return deviceTable.find(type)?.libvirt?.element === 'watchdog';
}

/** The device of -watchdog. @throws OptionError */
export function watchdogEntry(model: string): DeviceInput {
  if (!isWatchdog(model)) throw new OptionError(`vring has no watchdog ${shown(model)}: use i6300esb`);
  return { type: model } as DeviceInput;
}

/** The value of -watchdog-action, and of -action watchdog=. @throws OptionError */
export function watchdogAction(name: string): string {
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action !== undefined) return action;
  throw new OptionError(`${shown(name)} is not supported: expected ${Object.keys(ACTIONS).join(', ')}`);
}

/** Applies the watchdog action that the options set, wherever they are. */
export function withWatchdogAction(entry: DeviceInput, action: string | null): DeviceInput {
  return action !== null && isWatchdog(entry.type) ? ({ ...entry, action } as DeviceInput) : entry;
}
