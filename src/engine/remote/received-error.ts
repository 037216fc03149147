import { ResponseError } from 'vscode-jsonrpc/node';
import { ListedError } from '../../text/listed-error.ts';
import type { ErrorData } from './request-error.ts';

/** The error that the engine at the other end threw, as far as callers tell errors apart. */
export async function fromWire(error: unknown): Promise<Error> {
  if (!(error instanceof ResponseError)) return error instanceof Error ? error : new Error(String(error));
  const { name, problems, listed } = (error.data ?? {}) as Partial<ErrorData>;
  if (name === 'ListedError' && Array.isArray(listed?.problems))
    return new ListedError(String(listed.heading), listed.problems.map(String));
  if (name !== 'ConfigError' || !Array.isArray(problems)) return new Error(error.message);
  // With it comes the whole schema of a machine: not worth loading before it is needed.
  const { ConfigError } = await import('../../vmm/machine/config.ts');
  return new ConfigError(problems);
}
