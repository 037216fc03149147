import { parseCount } from '../../text/option-values.ts';
import { own } from '../../text/own.ts';
import { UsageError } from '../../text/usage-error.ts';
import type { VfSettings } from '../plan/plan.ts';

type Values = { -readonly [name in keyof VfSettings]: VfSettings[name] };

/** `mac=02:00:00:00:00:01 vlan=10 trust=on` as settings of a VF. */
export function parseVfSettings(words: readonly string[]): VfSettings {
  const settings: Values = {};
  for (const word of words) {
    const equals = word.indexOf('=');
    const [name, value] = equals < 0 ? [word, ''] : [word.slice(0, equals), word.slice(equals + 1)];
    const parse = own(parsers, name);
    if (!parse) throw new UsageError(`${word}: unknown setting "${name}"; expected one of ${names}`);
    if (value === '') throw new UsageError(`${word}: expected a value, such as ${examples[name]}`);
    parse(settings, value, word);
  }
  if (words.length === 0)
    throw new UsageError(`expected settings, such as ${Object.values(examples).join(' ')}`);
  return settings;
}

const examples: Readonly<Record<string, string>> = {
  mac: 'mac=02:00:00:00:00:01',
  vlan: 'vlan=10',
  qos: 'qos=3',
  trust: 'trust=on',
  spoofchk: 'spoofchk=off',
  state: 'state=auto',
  'max-rate': 'max-rate=1000',
  'min-rate': 'min-rate=100',
};
const names = Object.keys(examples).join(', ');

const parsers: Readonly<Record<string, (settings: Values, value: string, word: string) => void>> = {
  mac: (settings, value, word) => {
    settings.mac = parseMac(value, word);
  },
  vlan: (settings, value) => {
    settings.vlan = parseCount(value, 'vlan', 0, 4094);
  },
  qos: (settings, value) => {
    settings.qos = parseCount(value, 'qos', 0, 7);
  },
  trust: (settings, value, word) => {
    settings.trust = parseFlag(value, word);
  },
  spoofchk: (settings, value, word) => {
    settings.spoofCheck = parseFlag(value, word);
  },
  state: (settings, value, word) => {
    if (value !== 'auto' && value !== 'enable' && value !== 'disable') {
      throw new UsageError(`${word}: expected auto, enable or disable`);
    }
    settings.linkState = value;
  },
  'max-rate': (settings, value) => {
    settings.maxTxRate = parseCount(value, 'max-rate (Mbit/s)', 0, 1_000_000);
  },
  'min-rate': (settings, value) => {
    settings.minTxRate = parseCount(value, 'min-rate (Mbit/s)', 0, 1_000_000);
  },
};

function parseFlag(value: string, word: string): boolean {
  if (value !== 'on' && value !== 'off') throw new UsageError(`${word}: expected on or off`);
  return value === 'on';
}

/** A unicast address: the lowest bit of the first byte marks a multicast address. All zeros restores the default. */
function parseMac(value: string, word: string): string {
  const mac = value.toLowerCase();
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac)) {
    throw new UsageError(`${word}: expected six bytes, such as ${examples.mac}`);
  }
  if (Number.parseInt(mac.slice(0, 2), 16) & 1) {
    throw new UsageError(`${word}: this is a multicast address; the first byte of a unicast address is even`);
  }
  return mac;
}
