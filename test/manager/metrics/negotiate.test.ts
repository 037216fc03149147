import { expect, test } from 'vitest';
import { negotiate } from '../../../src/manager/metrics/negotiate.ts';

const PROMETHEUS_2 =
  'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
const PROMETHEUS_3 =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2';
const FIREFOX = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8';

test.each([
  [undefined, 'prometheus'],
  ['', 'prometheus'],
  ['*/*', 'prometheus'],
  [FIREFOX, 'prometheus'],
  [PROMETHEUS_2, 'openmetrics'],
  [PROMETHEUS_3, 'openmetrics'],
  // The header of Prometheus 2.4 and older, and of any version that is configured for the text format.
  ['text/plain;version=0.0.4;q=1,*/*;q=0.1', 'prometheus'],
  ['application/openmetrics-text', 'openmetrics'],
  ['Application/OpenMetrics-Text ; Version="1.0.0" ; charset=utf-8', 'openmetrics'],
  ['application/*', 'openmetrics'],
  ['text/*', 'prometheus'],
  ['text/*, application/*', 'prometheus'],
  ['application/openmetrics-text; version=0.0.1', 'prometheus'],
  ['application/openmetrics-text; version=2.0.0, text/plain;q=0.1', 'prometheus'],
  ['application/openmetrics-text;q=0, */*', 'prometheus'],
  ['application/openmetrics-text;q=0.1, text/plain;q=0.2', 'prometheus'],
  ['application/openmetrics-text;q=0.2, text/plain;q=0.1', 'openmetrics'],
  ['application/openmetrics-text;q=0.5, text/plain;q=0.5', 'openmetrics'],
  ['text/plain;q=0, application/*;q=0.001', 'openmetrics'],
  // The more specific range counts, whatever comes first.
  ['*/*;q=1, application/openmetrics-text;q=0.9, text/plain;q=0.5', 'openmetrics'],
  [
    'application/openmetrics-text;q=1, application/openmetrics-text;version=1.0.0;q=0.1, text/plain;q=0.5',
    'prometheus',
  ],
  // Malformed ranges do not count.
  ['application/openmetrics-text;q=high', 'prometheus'],
  ['application/openmetrics-text;q=1.5, text/plain;q=0.1', 'prometheus'],
  ['openmetrics', 'prometheus'],
  [',;,/;=,', 'prometheus'],
  [`application/openmetrics-text,${' '.repeat(5000)}`, 'prometheus'],
])('Accept: %s selects %s', (accept, format) => {
  expect(negotiate(accept)).toBe(format);
});
