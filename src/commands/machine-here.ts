import { onTerminalAtStart } from './on-terminal.ts';

const STARTS_A_MACHINE = new Set(['run', 'demo']);
/** The machine will be another process's, or there will be none. */
const STARTS_NONE = new Set(['--detach', '--ui', '--help', '-h']);

/** Does this command line have a machine run on a thread of this process? @param words the command and its arguments */
export function startsMachineHere([command = '', ...words]: readonly string[]): boolean {
  const here = words.some(word => word === '--foreground' || word === '--in-process');
  const managersMachine = onTerminalAtStart() && !here;
  return STARTS_A_MACHINE.has(command) && !managersMachine && !words.some(word => STARTS_NONE.has(word));
}

/** To be called first of all. */
export function nameProcess(): void {
  // Node would open its debugger on this signal, through which any user of this host could run code in this process. The
  // launchers say --disable-sigusr1 as well, which leaves no moment before this line.
  process.on('SIGUSR1', () => {});
  // What ps, and who finds its locks, call it: not the Node that runs it.
  process.title = ['vring', ...process.argv.slice(2)].join(' ');
}
