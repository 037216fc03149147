import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { VmInfo } from '../../src/engine/vm-info.ts';
import { hostParts } from '../../src/host-service/delta.ts';
import { readHost } from '../../src/host-service/read-host.ts';
import { emptyHost, type HostReading } from '../../src/host-service/snapshot.ts';

import { createAppStore } from '../../src/store/app-store.ts';
import type { HostList } from '../../src/store/screens.ts';
import type { HostView } from '../../src/view/device-owners.ts';
import { filteredRows, HOST_COLUMNS } from '../../src/view/host-lists.ts';
import { PCI_FUNCTIONS, pciRows, toggledToShow } from '../../src/view/host-pci-rows.ts';
import { createHostSelectors } from '../../src/view/host-selectors.ts';
import { serverTree } from '../host/trees/server.ts';

const tree = serverTree();
let host: HostReading & HostView;
beforeAll(async () => {
  host = { ...(await readHost(tree.root())), owners: new Map() };
});
afterAll(() => tree.remove());

/** A store with the host, on one of its lists. */
function onList(list: HostList) {
  const store = createAppStore();
  const select = createHostSelectors();
  store.getState().openScreen({ kind: list });
  store.getState().hostRead(hostParts(emptyHost, host));
  const names = () => select.lists[list](store.getState()).map(({ address, key }) => address ?? key);
  const filtered = (filter: string) => {
    store.getState().setFilter(filter);
    return names();
  };
  return { store, select, names, filtered };
}

describe('a filter matches every column', () => {
  test.each<[HostList, string, readonly string[]]>([
    ['vfio', 'driver:vfio-pci', ['0000:3b:0a.0']],
    ['vfio', 'now=nvme', ['0000:af:00.0', '0000:b0:00.0']],
    ['vfio', 'node:/dev/vfio/84', ['0000:3b:0a.0']],
    ['vfio', 'qemu-system', ['0000:3b:0a.0']],
    ['vfio', 'vendor:samsung', ['0000:af:00.0', '0000:b0:00.0']],
    ['vfio', 'id:144d:a808', ['0000:af:00.0', '0000:b0:00.0']],
    ['vfio', 'group>60 group<70 !bridge nvme', ['0000:af:00.0', '0000:b0:00.0']],
    [
      'sriov',
      'vf:vf mac:.',
      ['0000:3b:00.2', '0000:3b:0a.0', '0000:3b:0a.1', '0000:3b:0a.2', '0000:3b:0a.3'],
    ],
    ['sriov', 'vlan>0', ['0000:3b:00.2', '0000:3b:0a.0']],
    ['iommu', 'isolation:share', ['0000:01:00.0', '0000:02:00.0', '0000:00:1f.0', '0000:00:1f.4']],
    ['iommu', 'address:3b:0a.3', ['0000:3b:0a.3']],
  ])('of the list %s: %s', (list, filter, expected) => {
    expect(onList(list).filtered(filter)).toEqual(expected);
  });

  test("of the doctor's findings, with their fixes", () => {
    const { filtered, names } = onList('doctor');
    const all = names();
    const fine = filtered('state:^ok$');
    expect(fine.length).toBeGreaterThan(0);
    expect(fine.length).toBeLessThan(all.length);
    expect(filtered('!state:^ok$')).toEqual(all.filter(id => !fine.includes(id)));
  });

  test('the content of any cell is found by the name of its column', () => {
    for (const list of ['pci', 'iommu', 'sriov', 'vfio', 'doctor'] as const) {
      const { filtered, select, store } = onList(list);
      const rows = select.lists[list](store.getState());
      for (const { key, cell } of HOST_COLUMNS[list]) {
        if (cell === undefined) continue;
        const row = rows.find(row => textOf(cell({ host, row })) !== '');
        if (row === undefined) continue;
        const text = textOf(cell({ host, row }));
        expect(filtered(`${key}="${text}"`), `${list} ${key}="${text}"`).toContain(row.address ?? row.key);
      }
    }
  });
});

function textOf(cell: string | { readonly text: string }): string {
  return typeof cell === 'string' ? cell : cell.text;
}

test('a filter is prepared in steps within a time budget', () => {
  const { store, select } = onList('vfio');
  let steps = 0;
  while (!select.prepareShownFilter(store.getState(), oneRow())) steps++;
  expect(steps).toBeGreaterThan(10);
  expect(select.prepareShownFilter(store.getState(), () => false)).toBe(true);
  store.getState().openScreen({ kind: 'log' });
  expect(select.prepareShownFilter(store.getState(), () => false)).toBe(true);
});

/** Time for one row. */
function oneRow(): () => boolean {
  let rows = 0;
  return () => rows++ < 1;
}

describe('the VMs that use functions', () => {
  const web = {
    name: 'web',
    state: 'running',
    hostDevices: [{ address: '0000:3b:0a.0', device: 'hostdev0', api: 'group', keep: false, before: 'iavf' }],
  };

  function withVm(list: HostList, vm: object) {
    const shown = onList(list);
    shown.store.setState({ infos: { web: vm as unknown as VmInfo } });
    return shown;
  }

  test.each(['pci', 'iommu', 'sriov', 'vfio'] as const)('are found in the list %s', list => {
    expect(withVm(list, web).filtered('vm:web')).toContain('0000:3b:0a.0');
    expect(onList(list).filtered('vm:web')).toEqual([]);
  });

  test('sort a list, and are searched again when they change', () => {
    const { store, names, filtered } = withVm('vfio', web);
    store.getState().setSort('vfio', { column: 'vm', descending: false });
    expect(names()[0]).toBe('0000:3b:0a.0');
    expect(filtered('vm:web')).toEqual(['0000:3b:0a.0']);
    const other = { ...web, hostDevices: [{ ...web.hostDevices[0]!, address: '0000:3b:0a.1' }] };
    store.setState({ infos: { web: other as unknown as VmInfo } });
    expect(names()).toEqual(['0000:3b:0a.1']);
  });

  test('do not affect the lists while other properties of the VMs change', () => {
    const { store, select } = withVm('pci', web);
    const before = select.view(store.getState());
    store.setState({
      infos: { web: { ...web, reason: 'because', hostDevices: [...web.hostDevices] } as never },
    });
    expect(select.view(store.getState())).toBe(before);
  });
});

describe('a list in the order of one of its columns', () => {
  test('keeps groups together, by the number of their members', () => {
    const { store, select, names } = onList('iommu');
    store.getState().setSort('iommu', { column: 'isolation', descending: true });
    expect(names().slice(0, 4)).toEqual(['0000:01:00.0', '0000:02:00.0', '0000:00:1f.0', '0000:00:1f.4']);
    expect(select.iommu(store.getState()).every(({ place }) => place === 'only')).toBe(true);
  });

  test('treats physical functions and VFs alike', () => {
    const { store, names } = onList('sriov');
    const before = names();
    store.getState().setSort('sriov', { column: 'address', descending: true });
    expect(names()).toEqual([...before].sort().reverse());
  });
});

describe('the PCI tree', () => {
  const addresses = (rows: readonly { readonly address: string | null }[]) =>
    rows.flatMap(({ address }) => address ?? []);

  test('is expanded only as far as needed to show a function', () => {
    const closed = new Set(['0000:00:1c.0', 'bus 0000:3a']);
    const rows = (toggled: ReadonlySet<string>) => addresses(pciRows(host, { toggled, filter: '' }));
    expect(rows(closed)).not.toContain('0000:3b:0a.1');
    const open = toggledToShow(host, closed, '0000:3b:0a.1');
    expect(rows(open)).toContain('0000:3b:0a.1');
    expect(open.has('0000:00:1c.0')).toBe(true);
  });

  test('can show every function', () => {
    for (const address of addresses(filteredRows(PCI_FUNCTIONS, host, ''))) {
      const toggled = toggledToShow(host, new Set(['0000:00:1c.0', 'bus 0000:00']), address);
      expect(addresses(pciRows(host, { toggled, filter: '' }))).toContain(address);
    }
  });
});
