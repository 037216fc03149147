import * as z from 'zod';
import { AgentError, type GuestAgent } from './guest-agent.ts';

/** The most that an agent captures: 16 MiB of each stream, in base64. */
const OUTPUT_BYTES = 48 * 2 ** 20;
const MAX_TEXT = 23 * 2 ** 20;
/** The interval between polls for the program's end, from the first to the longest. */
const FIRST_LOOK_MS = 20;
const LONGEST_LOOK_MS = 1000;
/** The most input that a program can be given. */
export const MAX_INPUT_BYTES = 2 ** 20;

export type GuestProgram = {
  readonly path: string;
  readonly args: readonly string[];
  /** `NAME=value`; default: the agent's environment. */
  readonly env?: readonly string[];
  /** In base64; default: none. */
  readonly input?: string;
  /** How long to wait for it, in milliseconds; it is not killed. */
  readonly timeoutMs: number;
};

/** How a program in the guest ended. */
export type GuestProgramEnd = {
  /** Null if a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: number | null;
  /** Its output, in base64. */
  readonly stdout: string;
  readonly stderr: string;
  /** The agent kept only the first 16 MiB of a stream. */
  readonly truncated: boolean;
};

const started = z.object({ pid: z.int().min(0) });
const base64 = z.base64().max(MAX_TEXT).optional();
const status = z.object({
  exited: z.boolean(),
  exitcode: z.int().optional(),
  signal: z.int().optional(),
  'out-data': base64,
  'err-data': base64,
  'out-truncated': z.boolean().optional(),
  'err-truncated': z.boolean().optional(),
});

/** Runs a program in a guest and waits for its end. @throws AgentError */
export async function execInGuest(
  agent: GuestAgent,
  { path, args, env, input, timeoutMs }: GuestProgram,
): Promise<GuestProgramEnd> {
  const deadline = performance.now() + timeoutMs;
  const { pid } = await agent.request('guest-exec', {
    arguments: {
      path,
      arg: args,
      ...(env !== undefined && { env }),
      ...(input !== undefined && { 'input-data': input }),
      'capture-output': true,
    },
    returns: started,
  });
  for (let wait = FIRST_LOOK_MS; ; wait = Math.min(2 * wait, LONGEST_LOOK_MS)) {
    const end = await agent.request('guest-exec-status', {
      arguments: { pid },
      returns: status,
      maxBytes: OUTPUT_BYTES,
      timeoutMs: 30_000,
    });
    if (end.exited) {
      return {
        exitCode: end.exitcode ?? null,
        signal: end.signal ?? null,
        stdout: end['out-data'] ?? '',
        stderr: end['err-data'] ?? '',
        truncated: (end['out-truncated'] ?? false) || (end['err-truncated'] ?? false),
      };
    }
    if (performance.now() + wait > deadline) {
      throw new AgentError(`${path} did not end in time: it keeps running in the guest, as process ${pid}`);
    }
    await new Promise(resolve => setTimeout(resolve, wait));
  }
}
