import { parseDuration } from '../../text/option-values.ts';

export const INTERVAL_MS = { least: 100, most: 3_600_000, usual: 1000 } as const;

export function parseInterval(text: string): number {
  return parseDuration(text, '--interval', INTERVAL_MS.least, INTERVAL_MS.most);
}

export type TopOptions = {
  readonly once?: boolean;
  readonly csv?: boolean;
  readonly json?: boolean;
  readonly interval?: number;
};
