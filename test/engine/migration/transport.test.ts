import { describe, expect, test } from 'vitest';
import { sshCommand } from '../../../src/engine/migration/transport.ts';

const tail = (destination: string) =>
  sshCommand(destination).slice(sshCommand(destination).indexOf('--') + 1);
const RECEIVE = 'vring vm receive';

describe('the way to another host by SSH', () => {
  test.each([
    ['host2', 'host2'],
    ['root@host2.example', 'root@host2.example'],
    ['ssh://host2', 'host2'],
    ['ssh://root@host2/', 'root@host2'],
    ['ssh://[fe80::1%eth0]:2222', 'fe80::1%eth0'],
    ['root@[2001:db8::1]', 'root@2001:db8::1'],
  ])('%s', (destination, host) => {
    expect(tail(destination)).toEqual([host, RECEIVE]);
  });

  test('has the port that was given', () => {
    const command = sshCommand('ssh://root@host2:2222');
    expect(command.slice(command.indexOf('-p')).slice(0, 2)).toEqual(['-p', '2222']);
    expect(sshCommand('host2')).not.toContain('-p');
  });

  test('asks for no password', () => {
    expect(sshCommand('host2')).toContain('BatchMode=yes');
  });

  test.each(['', '-oProxyCommand=touch x', 'ssh://-v@host2', 'a b', 'host2:99999', 'http://host2', 'ssh://'])(
    'refuses "%s"',
    destination => {
      expect(() => sshCommand(destination)).toThrow('is no host: expected [user@]host');
    },
  );
});
