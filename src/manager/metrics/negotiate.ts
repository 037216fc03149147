import type { MetricsFormat } from '../../engine/engine.ts';

/** Longer Accept headers are treated as accepting anything. */
const LONGEST_ACCEPT = 4096;

type Range = { readonly type: string; readonly version: string | null; readonly quality: number };

type Offer = { readonly format: MetricsFormat; readonly type: string; readonly version: string };

const OFFERS: readonly Offer[] = [
  { format: 'openmetrics', type: 'application/openmetrics-text', version: '1.0.0' },
  { format: 'prometheus', type: 'text/plain', version: '0.0.4' },
];

/**
 * The format that an HTTP Accept header prefers (RFC 9110 §12.5.1): the one of higher quality. At equal quality,
 * clients that name OpenMetrics get it, and all others get text 0.0.4, as do clients that accept neither, as from other
 * exporters.
 */
export function negotiate(accept: string | undefined): MetricsFormat {
  if (accept === undefined || accept.length > LONGEST_ACCEPT) return 'prometheus';
  const ranges = accept.split(',').flatMap(range => parseRange(range) ?? []);
  const [openmetrics, prometheus] = OFFERS.map(offer => bestMatch(ranges, offer));
  const named = (openmetrics?.specificity ?? 0) >= NAMED;
  const [wanted, other] = [openmetrics?.quality ?? 0, prometheus?.quality ?? 0];
  return wanted > other || (wanted === other && wanted > 0 && named) ? 'openmetrics' : 'prometheus';
}

/** The specificity of a range that names the type, without wildcards. */
const NAMED = 2;

/** The most specific range that matches, and its quality. */
function bestMatch(ranges: readonly Range[], offer: Offer) {
  const matches = ranges.map(range => ({ quality: range.quality, specificity: specificity(range, offer) }));
  return matches
    .filter(match => match.specificity >= 0)
    .sort((a, b) => b.specificity - a.specificity || b.quality - a.quality)[0];
}

/** -1 if the range does not match. */
function specificity({ type, version }: Range, offer: Offer): number {
  if (version !== null && version !== offer.version) return -1;
  if (type === offer.type) return version === null ? NAMED : NAMED + 1;
  if (type === `${offer.type.split('/')[0]}/*`) return 1;
  return type === '*/*' ? 0 : -1;
}

/** Parameters other than `version` and `q`, such as charset and escaping, are ignored. Null if malformed. */
function parseRange(text: string): Range | null {
  const [type = '', ...rest] = text.split(';').map(part => part.trim());
  if (!/^[\w.+*-]+\/[\w.+*-]+$/.test(type)) return null;
  const parameters = new Map(
    rest.map(parameter => {
      const [name = '', value = ''] = parameter.split('=', 2).map(part => part.trim());
      return [name.toLowerCase(), value.replace(/^"(.*)"$/, '$1')];
    }),
  );
  const q = parameters.get('q') ?? '1';
  if (!/^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(q)) return null;
  return { type: type.toLowerCase(), version: parameters.get('version') ?? null, quality: Number(q) };
}
