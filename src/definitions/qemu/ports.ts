import type { CharInput } from '../../devices/backends/char-fields.ts';
import { isaDebugcon } from '../../devices/legacy/debug-console.ts';
import { virtConsole } from '../../devices/virtio/serial/rows.ts';
import { AGENT_PORT } from '../fields/char.ts';
import { MAX_PARALLEL_PORTS } from '../parallel-ports.ts';
import { MAX_PORTS, TOO_MANY_PORTS } from '../serial-ports.ts';
import { readSerial } from './chardevs.ts';
import type { Draft, Place } from './draft.ts';
import { OptionError } from './error.ts';

/**
 * -serial and virtio consoles: the console of a guest is COM1, or the first virtio console. Further ones are devices.
 */
export function placeConsoles(draft: Draft, problem: (place: Place, error: OptionError) => void): void {
  const ports: CharInput[] = [];
  for (const port of draft.serialPorts) {
    try {
      const end = readSerial(draft, port.value, port);
      if (ports.length === MAX_PORTS) draft.leaveOut(port, TOO_MANY_PORTS);
      else if (end === null && ports.length === 0) draft.leaveOut(port, 'every guest has COM1');
      else ports.push(end ?? 'null');
    } catch (error) {
      if (!(error instanceof OptionError)) throw error;
      problem(port, error);
    }
  }
  if (ports.length > 1 || (ports.length === 1 && ports[0] !== 'console')) draft.fields.serial = ports;
  const [com1] = draft.serialPorts;
  const hasCom1 = com1 === undefined ? !draft.noDefaults : com1.value !== 'none';
  const [first, ...others] = draft.virtioConsoles;
  if (first === undefined) return;
  if (!hasCom1) draft.fields.console = 'virtio';
  for (const console of hasCom1 ? [first, ...others] : others) {
    draft.addDevice(console, { type: virtConsole.type, chardev: console.end });
  }
}

/** -parallel and -debugcon, whose port a later -global may set. */
export function placeOtherPorts(draft: Draft, problem: (place: Place, error: OptionError) => void): void {
  const attempt = (place: Place & { readonly value: string }, add: (end: CharInput) => void) => {
    try {
      const end = readSerial(draft, place.value, place);
      if (end !== null) add(end);
    } catch (error) {
      if (!(error instanceof OptionError)) throw error;
      problem(place, error);
    }
  };
  for (const port of draft.parallelPorts)
    attempt(port, end => {
      const ports = draft.fields.parallel ?? [];
      if (ports.length === MAX_PARALLEL_PORTS) draft.leaveOut(port, 'a guest has at most LPT1 and LPT2');
      else draft.fields.parallel = [...ports, end];
    });
  const { debugConsole, debugPort } = draft;
  if (debugConsole !== null)
    attempt(debugConsole, chardev =>
      draft.addDevice(debugConsole, {
        type: isaDebugcon.type,
        ...(debugPort !== null && { iobase: debugPort }),
        chardev,
      }),
    );
}

/** A -device that is a port connected to a -chardev. */
export function addConsoleDevice(
  draft: Draft,
  driver: string,
  place: Place,
  chardev: string | undefined,
): void {
  if (driver === 'isa-serial') {
    draft.serialPorts.push({ ...place, value: chardev === undefined ? 'stdio' : `chardev:${chardev}` });
    return;
  }
  draft.virtioConsoles.push({
    ...place,
    end: chardev === undefined ? 'console' : draft.claimChardev(chardev),
  });
}

/** A named port. vring itself uses that of the guest agent. */
export function addChannel(
  draft: Draft,
  place: Place,
  name: string | undefined,
  chardev: CharInput | null,
): void {
  if (name === AGENT_PORT) draft.fields.agent = true;
  else if (name === undefined || chardev === null || chardev === 'null')
    draft.leaveOut(place, 'nothing would be connected to it');
  else draft.fields.channels = [...(draft.fields.channels ?? []), { name, chardev }];
}
