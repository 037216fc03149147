import { onTerminalAtStart } from './on-terminal.ts';

const STARTS_A_MACHINE = new Set(['run', 'demo']);
/** With these, the machine runs in another process, or not at all. */
const STARTS_NONE = new Set(['--detach', '--ui', '--help', '-h']);

/** Whether this command line runs a machine on a thread of this process. @param words the command and its arguments */
export function startsMachineHere([command = '', ...words]: readonly string[]): boolean {
  const here = words.some(word => word === '--foreground' || word === '--in-process');
  const managersMachine = onTerminalAtStart() && !here;
  return STARTS_A_MACHINE.has(command) && !managersMachine && !words.some(word => STARTS_NONE.has(word));
}

/** Must be called first. */
export function nameProcess(): void {
  // By default, Node opens its debugger on this signal, through which any user of this host could run code in this
  // process. The launchers pass --disable-sigusr1 as well, which covers the time before this line.
  process.on('SIGUSR1', () => {});
  // The name shown by ps and in lock errors, instead of node's.
  process.title = ['vring', ...process.argv.slice(2)].join(' ');
}
