import { ResponseError } from 'vscode-jsonrpc/node';
import { ConfigError, type ConfigProblem } from '../../vmm/config.ts';
import { CODE } from './protocol.ts';

/** What travels with an error beside its sentence. */
type ErrorData = { readonly name: string; readonly problems?: readonly ConfigProblem[] };

/** A refusal with a code of the protocol. */
export function refusal(code: keyof typeof CODE, sentence: string): ResponseError<undefined> {
  return new ResponseError(CODE[code], sentence);
}

/** An engine's error as it is sent: its sentence alone, without what an owner's insides look like. */
export function toWire(error: unknown): ResponseError<ErrorData | undefined> {
  if (error instanceof ResponseError) return error;
  if (!(error instanceof Error)) return refusal('failed', String(error));
  const problems = error instanceof ConfigError ? { problems: error.problems } : {};
  return new ResponseError(CODE.failed, error.message, { name: error.name, ...problems });
}

/** The error that the engine threw, as far as callers tell errors apart. */
export function fromWire(error: unknown): Error {
  if (!(error instanceof ResponseError)) return error instanceof Error ? error : new Error(String(error));
  const { name, problems } = (error.data ?? {}) as Partial<ErrorData>;
  if (name === 'ConfigError' && Array.isArray(problems)) return new ConfigError(problems);
  return new Error(error.message);
}
