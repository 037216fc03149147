import { UsageError } from '../../text/usage-error.ts';
import { type NicInput, nics } from '../fields/nics.ts';
import { keyProblems } from '../issues.ts';
import type { Connection } from '../qemu/connection.ts';
import { OptionError } from '../qemu/error.ts';
import type { QemuHost } from '../qemu/host.ts';
import { parseNetwork } from '../qemu/networks.ts';
import { Settings } from '../qemu/settings.ts';

/** What network options take, in words. */
export const NETWORKS =
  'user, tap, tap:INTERFACE, bridge:BRIDGE, network:NAME, macvtap:INTERFACE, passt or none';

/** The setting that the name after a type stands for. */
const NAME_OF: Readonly<Record<string, string>> = {
  tap: 'ifname',
  bridge: 'br',
  network: 'name',
  macvtap: 'interface',
  passt: 'interface',
};

const TYPES = ['user', 'none', ...Object.keys(NAME_OF)];

/**
 * The network card of `user,hostfwd=tcp::2222-:22`, `bridge:br0,mac=52:54:00:12:34:56`, `network:default`: a type, the
 * name of what it connects to, and settings of QEMU's -nic.
 * @param option the option with the text, for messages
 * @throws UsageError
 */
export function parseNic(text: string, option: string, host: QemuHost = { cwd: process.cwd() }): NicInput {
  const [, type = '', name] = /^([a-z]*)(?::([^,]*))?(?=,|$)/.exec(text) ?? [];
  const needsName = type === 'bridge' || type === 'network' || type === 'macvtap';
  const hasName = name !== undefined ? name !== '' && Object.hasOwn(NAME_OF, type) : !needsName;
  const rest = text.slice(type.length + (name === undefined ? 0 : name.length + 1));
  if (!TYPES.includes(type) || !(hasName || new RegExp(`,${NAME_OF[type]}=`).test(rest)))
    throw new UsageError(`${option} ${text}: expected ${NETWORKS}`);
  try {
    const settings = new Settings(
      `${type}${name === undefined ? '' : `,${NAME_OF[type]}=${name}`}${rest}`,
      'type',
    );
    settings.take('type');
    const card = cardOf(settings);
    const nic = { ...card, ...connectionOf(type, settings, host) };
    settings.end();
    return checked(nic);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    throw new UsageError(`${option} ${text}: ${error.message}`);
  }
}

function connectionOf(type: string, settings: Settings, host: QemuHost): Connection {
  switch (type) {
    case 'none':
      return { network: { type } };
    case 'network':
      return { network: { type, name: settings.require('name') } };
    case 'macvtap': {
      const mode = settings.takeOne('mode', ['bridge', 'vepa', 'private', 'passthru']);
      return { network: { type, interface: settings.require('interface'), ...(mode && { mode }) } };
    }
    default:
      return parseNetwork(type, settings, host);
  }
}

function cardOf(settings: Settings): NicInput {
  const model = settings.take('model');
  const mac = settings.take('mac');
  const queues = settings.takeCount('queues');
  const mtu = settings.takeCount('mtu');
  const link = settings.takeSwitch('link');
  const vhost = settings.takeSwitch('vhost');
  return {
    ...(model !== undefined && { model: model as NonNullable<NicInput['model']> }),
    ...(mac !== undefined && { mac }),
    ...(queues !== undefined && { queues }),
    ...(mtu !== undefined && { mtu }),
    ...(link === false && { link: 'down' as const }),
    ...(vhost !== undefined && { vhost }),
  };
}

/** @throws OptionError for what the schema refuses */
function checked(nic: NicInput): NicInput {
  const parsed = nics.safeParse([nic], { reportInput: true });
  if (parsed.success) return nic;
  const [problem] = keyProblems(parsed.error.issues, [nic]);
  const where = problem?.path.slice(1).join('.') ?? '';
  throw new OptionError(`${where}: ${problem?.message ?? 'it is not valid'}`);
}
