import type { NicNetworkInput } from '../fields/networks.ts';
import type { NicInput } from '../fields/nics.ts';

/** What a network card is connected to, and the settings of the card that follow from it. */
export type Connection = { readonly network: Exclude<NicNetworkInput, string> } & Pick<
  NicInput,
  'queues' | 'vhost'
>;
