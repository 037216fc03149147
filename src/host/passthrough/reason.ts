import type { Reason, ReasonCode } from './assessment.ts';

export function ok(code: ReasonCode, subject: string | null, reason: string): Reason {
  return { level: 'ok', code, subject, reason, repair: [] };
}

export function warn(
  code: ReasonCode,
  subject: string | null,
  reason: string,
  ...repair: readonly string[]
): Reason {
  return { level: 'warn', code, subject, reason, repair };
}

export function block(
  code: ReasonCode,
  subject: string | null,
  reason: string,
  ...repair: readonly string[]
): Reason {
  return { level: 'block', code, subject, reason, repair };
}

/** Each reason once: members of one group share findings. */
export function unique(reasons: readonly Reason[]): Reason[] {
  const key = ({ level, code, subject, reason }: Reason) => `${level} ${code} ${subject} ${reason}`;
  return [...new Map(reasons.map(reason => [key(reason), reason])).values()];
}
