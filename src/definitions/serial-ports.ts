import { COM_PORTS, isaSerial } from '../devices/legacy/isa-serial.ts';
import type { DefinitionInput } from './schema.ts';

export const TOO_MANY_PORTS = 'a guest has at most four serial ports';

/** The serial port `index` of a guest, counted from 0, as an entry of `devices`: COM2 is 1. Null if it has no place for it. */
export function serialPort(index: number): NonNullable<DefinitionInput['devices']>[number] | null {
  const port = COM_PORTS[index - 1];
  return port === undefined ? null : { type: isaSerial.type, ...port };
}

/** Where a serial port is shown. */
export function shownAs(index: number): string {
  const name = `com${index + 1}`;
  return index === 0
    ? 'COM1 is the console: vring vm console shows it'
    : `${name.toUpperCase()} is a console: vring vm console --port ${name} shows it`;
}
