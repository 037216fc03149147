import type { CharOptions } from '../devices/backends/char.ts';
import { COM_PORTS, configuredCom1, isaSerial } from '../devices/legacy/isa-serial.ts';

export const TOO_MANY_PORTS = 'a guest has at most four serial ports';

/** The most serial ports of a guest. */
export const MAX_PORTS = COM_PORTS.length + 1;

/**
 * The serial port `index` of a guest, counted from 0, as an entry of `devices`: COM2 is 1. Null for COM1 if it is the
 * console that every machine has.
 */
export function serialPort(index: number, chardev: CharOptions) {
  if (index > 0) return { type: isaSerial.type, ...COM_PORTS[index - 1]!, chardev };
  const isPlain = chardev.type === 'console' && chardev.logfile === undefined;
  return isPlain ? null : { type: configuredCom1.type, name: 'com1', chardev };
}
