import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { builtFile } from '../../src/project-root.ts';
import { NODE } from './manager-process.ts';

export const CLI = join(import.meta.dirname, '../../src/cli.ts');

export type Ended = { readonly status: number | undefined; readonly stdout: string; readonly stderr: string };

/** Runs `vring ARGS` from the sources, without a terminal. */
export async function vring(...args: string[]): Promise<Ended> {
  return await vringWith({}, ...args);
}

export async function vringWith(
  { input = '', env = {} }: { input?: string; env?: Readonly<Record<string, string>> },
  ...args: string[]
): Promise<Ended> {
  const [node, ...nodeArgs] = NODE;
  const { exitCode, stdout, stderr } = await execa(node!, [...nodeArgs, CLI, ...args], {
    reject: false,
    input,
    env,
    timeout: 25_000,
  });
  return { status: exitCode, stdout, stderr };
}

/** The same for a command that may take a while, such as one that stops a manager. */
export function vringProcess(...args: string[]) {
  const [node, ...nodeArgs] = NODE;
  return execa(node!, [...nodeArgs, CLI, ...args], { reject: false, stdin: 'ignore', timeout: 60_000 });
}

/** The --json output of such a command, with its exit status and stderr. */
export async function vringJson(...args: string[]) {
  const { stdout, stderr, exitCode } = await vringProcess(...args, '--json');
  return { exitCode, stderr, ...JSON.parse(stdout) };
}

export function definitionFile(name: string): string {
  return join(process.env.VRING_DEFINITIONS_DIR!, `${name}.yaml`);
}

/** Defines a VM that runs the embedded guest. */
export function defineGuest(name: string, append = ''): void {
  const lines = [
    `name: ${name}`,
    'memory: 32M',
    'machine:',
    `  kernel: ${builtFile('guest.elf')}`,
    `  append: '${append}'`,
  ];
  writeFileSync(definitionFile(name), `${lines.join('\n')}\n`);
}
