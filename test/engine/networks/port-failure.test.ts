import { expect, test } from 'vitest';
import { portFailure } from '../../../src/engine/networks/port-failure.ts';

const port = { protocol: 'tcp', address: '127.0.0.1', number: 1 } as const;

test.each([
  ['EADDRNOTAVAIL', 'the host does not have this address: ip address shows its addresses'],
  ['EACCES', /^a port below \d+ requires root: choose a higher one$/],
  ['EADDRINUSE', /^it is in use by .+: stop that, or choose another port$/],
  ['EAFNOSUPPORT', 'IPv6 is disabled on this host: choose an IPv4 address'],
  ['EINVAL', 'invalid argument (EINVAL)'],
  ['ENOBUFS', 'no buffer space available (ENOBUFS)'],
])('%s has an explanation', async (code, text) => {
  expect(await portFailure(port, code)).toMatch(text);
});

test('a link-local address cannot be used without its interface', async () => {
  expect(await portFailure({ ...port, address: 'fe80::1' }, 'EINVAL')).toBe(
    'it is a link-local address: choose another address of the host',
  );
});
