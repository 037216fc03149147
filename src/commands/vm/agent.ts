import { readFileSync } from 'node:fs';
import type { Engine } from '../../engine/engine.ts';
import { MAX_INPUT_BYTES } from '../../engine/guest-agent/exec.ts';
import type { GuestFacts } from '../../engine/guest-agent/guest-facts.ts';
import { printError } from '../../text/output.ts';
import { printable } from '../../text/printable.ts';
import { bytes } from '../../text/units.ts';
import { UsageError } from '../../text/usage-error.ts';
import { print } from '../host/host-options.ts';
import { findVm } from './find.ts';

const LABEL_CELLS = 12;
/** Shells add this to the number of a signal that has ended a program. */
const SIGNALED = 128;

export type AgentOptions = { readonly json?: boolean };
export type ExecOptions = AgentOptions & {
  readonly stdin?: boolean;
  readonly env?: readonly string[];
  readonly timeoutMs: number;
};

type Agents = Pick<Engine, 'vms' | 'guestFacts' | 'guestExec'>;

/** Shows the guest's facts from its agent, or only that the agent answers. @throws an error for the user */
export async function agent(
  engine: Agents,
  name: string,
  what: 'ping' | 'info',
  options: AgentOptions,
): Promise<void> {
  const { id } = findVm(engine.vms(), name);
  const facts = await engine.guestFacts(id);
  if (what === 'ping') {
    print(options, { name, version: facts.version }, () => [
      `${name}: guest agent ${printable(facts.version)}`,
    ]);
    return;
  }
  print(options, { name, ...facts }, () => lines(name, facts).map(printable));
}

function lines(name: string, facts: GuestFacts): string[] {
  const fact = (label: string, text: string) => `${label.padEnd(LABEL_CELLS)}${text}`;
  const each = (label: string, texts: readonly string[]) =>
    texts.map((text, index) => fact(index === 0 ? label : '', text));
  const interfaces = facts.interfaces.filter(({ addresses }) => addresses.length > 0);
  return [
    fact('Name', name),
    fact('Agent', facts.version),
    ...(facts.hostname === null ? [] : [fact('Host name', facts.hostname)]),
    ...(facts.os === null ? [] : [fact('System', facts.os)]),
    ...(facts.kernel === null ? [] : [fact('Kernel', facts.kernel)]),
    ...each(
      'Addresses',
      interfaces.map(({ name, addresses }) => `${name}: ${addresses.join(', ')}`),
    ),
    ...each(
      'File systems',
      facts.filesystems.map(({ mountpoint, type, total, used }) =>
        total === null
          ? `${mountpoint} (${type})`
          : `${mountpoint} (${type}): ${bytes(used ?? 0)} of ${bytes(total)} used`,
      ),
    ).map(line => line.replace('File systems', 'Disks'.padEnd('File systems'.length))),
    ...(facts.users.length === 0 ? [] : [fact('Users', facts.users.join(', '))]),
  ];
}

/** Runs a program in the guest, and prints its output. @returns its exit status */
export async function execInVm(
  engine: Agents,
  name: string,
  [path = '', ...args]: readonly string[],
  { stdin = false, env, timeoutMs, ...options }: ExecOptions,
): Promise<number> {
  const { id } = findVm(engine.vms(), name);
  const input = stdin ? readInput() : undefined;
  const program = { path, args, timeoutMs, ...(env && { env }), ...(input !== undefined && { input }) };
  const end = await engine.guestExec(id, program);
  const status = end.exitCode ?? SIGNALED + (end.signal ?? 0);
  if (options.json) print(options, { name, ...end }, () => []);
  else {
    process.stdout.write(Buffer.from(end.stdout, 'base64'));
    process.stderr.write(Buffer.from(end.stderr, 'base64'));
    if (end.truncated) printError('vring: the guest agent kept only the first 16 MiB of the output');
  }
  return status;
}

/** In base64. @throws UsageError */
function readInput(): string {
  const bytes = readFileSync(0);
  if (bytes.length <= MAX_INPUT_BYTES) return bytes.toString('base64');
  throw new UsageError('--stdin takes at most 1 MiB: copy the file into the guest instead');
}
