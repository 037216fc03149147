import { useAppState, useUi } from '../components/contexts.ts';
import type { Size } from '../store/ui-slice.ts';
import { NETWORK_COLUMNS, networkFacts } from '../view/network-rows.ts';
import { ListWithDetails } from './list-with-details.tsx';

const NONE = 'No networks, bridges or TAP interfaces. n creates a network with NAT, DHCP and DNS';

/** What VMs can be connected to: vring's networks, bridges, TAP interfaces. */
export function NetworksScreen({ size }: { size: Size }) {
  const { select } = useUi();
  const rows = useAppState(select.visibleNetworks);
  const cursor = useAppState(select.networkRow);
  const infos = useAppState(state => state.infos);
  const empty = useAppState(
    state => state.networksProblem ?? (state.networks === null ? 'Reading the host' : NONE),
  );
  return (
    <ListWithDetails
      size={size}
      list="networks"
      columns={NETWORK_COLUMNS}
      rows={rows}
      cursor={cursor}
      empty={empty}
      subject="No network"
      title={({ name }) => name}
      facts={row => networkFacts(row, Object.values(infos))}
    />
  );
}
