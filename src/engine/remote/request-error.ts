import { ResponseError } from 'vscode-jsonrpc/node';
import { ListedError } from '../../text/listed-error.ts';
import { ConfigError, type ConfigProblem } from '../../vmm/machine/config.ts';
import { CODE } from './protocol.ts';

/** Data sent with an error beside its sentence. */
export type ErrorData = {
  readonly name: string;
  readonly problems?: readonly ConfigProblem[];
  readonly listed?: Pick<ListedError, 'heading' | 'problems'>;
};

/** A refusal with a code of the protocol. */
export function refusal(code: keyof typeof CODE, sentence: string): ResponseError<undefined> {
  return new ResponseError(CODE[code], sentence);
}

/** An engine's error in its wire format: only its sentence, without internals of the manager. */
export function toWire(error: unknown): ResponseError<ErrorData | undefined> {
  if (error instanceof ResponseError) return error;
  if (!(error instanceof Error)) return refusal('failed', String(error));
  const problems = error instanceof ConfigError ? { problems: error.problems } : {};
  const { heading = '', problems: list = [] } = error instanceof ListedError ? error : {};
  const listed = list.length > 0 ? { listed: { heading, problems: list } } : {};
  return new ResponseError(CODE.failed, error.message, { name: error.name, ...problems, ...listed });
}
