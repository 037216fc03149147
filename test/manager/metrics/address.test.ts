import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { metricsUrl, parseMetricsAddress } from '../../../src/manager/metrics/address.ts';
import { UsageError } from '../../../src/text/usage-error.ts';

const local = { remote: false };

test.each([
  ['127.0.0.1:9177', 'http://127.0.0.1:9177/metrics'],
  ['127.9.9.9:1', 'http://127.9.9.9:1/metrics'],
  ['localhost:9177', 'http://127.0.0.1:9177/metrics'],
  ['[::1]:9177', 'http://[::1]:9177/metrics'],
  ['127.0.0.1:0', 'http://127.0.0.1:0/metrics'],
  ['unix:/run/vring/metrics.sock', 'unix:/run/vring/metrics.sock'],
  ['unix:metrics.sock', `unix:${resolve('metrics.sock')}`],
])('%s is %s', (text, url) => {
  expect(metricsUrl(parseMetricsAddress(text, local))).toBe(url);
});

test.each([['0.0.0.0:9177'], ['[::]:9177'], ['192.0.2.1:9177'], ['[2001:db8::1]:9177'], ['128.0.0.1:9177']])(
  '%s is reachable from other hosts, which requires an option',
  text => {
    expect(() => parseMetricsAddress(text, local)).toThrow(/other hosts could read .* --metrics-remote/);
    expect(metricsUrl(parseMetricsAddress(text, { remote: true }))).toBe(`http://${text}/metrics`);
  },
);

test.each([
  [''],
  ['9177'],
  [':9177'],
  ['127.0.0.1'],
  ['127.0.0.1:'],
  ['127.0.0.1:http'],
  ['127.0.0.1:-1'],
  ['127.0.0.1:65536'],
  ['127.1:9177'],
  ['example.org:9177'],
  ['::1:9177'],
  ['[::1]'],
  ['[127.0.0.1]:9177'],
  ['http://127.0.0.1:9177'],
  ['unix:'],
  ['unix:/a\0b'],
  [`unix:/${'x'.repeat(107)}`],
])('%j is not an address', text => {
  expect(() => parseMetricsAddress(text, { remote: true })).toThrow(UsageError);
});
