import { ResponseError } from 'vscode-jsonrpc/node';
import { ListedError } from '../../text/listed-error.ts';
import type { ErrorData } from './request-error.ts';

/** Recreates the error that the remote engine threw, as far as callers distinguish errors. */
export async function fromWire(error: unknown): Promise<Error> {
  if (!(error instanceof ResponseError)) return error instanceof Error ? error : new Error(String(error));
  const { name, problems, listed } = (error.data ?? {}) as Partial<ErrorData>;
  if (name === 'ListedError' && Array.isArray(listed?.problems))
    return new ListedError(String(listed.heading), listed.problems.map(String));
  if (name !== 'ConfigError' || !Array.isArray(problems)) return new Error(error.message);
  // It pulls in the whole schema of a machine: load it only when needed.
  const { ConfigError } = await import('../../vmm/machine/config.ts');
  return new ConfigError(problems);
}
