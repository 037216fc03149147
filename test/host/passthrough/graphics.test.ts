import { afterAll, describe, expect, test } from 'vitest';
import { assess } from '../../../src/host/passthrough/assess.ts';
import type { PassthroughRequest, ReasonCode } from '../../../src/host/passthrough/assessment.ts';
import { readSurvey } from '../../../src/host/plan/survey.ts';
import type { TreeBuilder } from '../trees/builder.ts';
import { desktopTree } from '../trees/desktop.ts';
import { serverTree } from '../trees/server.ts';

const trees: TreeBuilder[] = [];
afterAll(() => {
  for (const tree of trees) tree.remove();
});

const vm = { name: 'web', memoryBytes: 2 ** 30, vcpus: 2, hostCpus: null, state: 'stopped' } as const;
const CARD = '0000:99:00.0';

/** The reasons of one kind about a card with these IDs. */
async function said(
  code: ReasonCode,
  id: string,
  {
    class: pciClass = '030000',
    address = CARD,
    methods = 'bus',
    more = {} as Partial<PassthroughRequest>,
  } = {},
) {
  const tree = serverTree();
  trees.push(tree);
  const attributes = { reset_method: methods, reset: '' };
  tree.pci({ address, id, class: pciClass, group: 99, attributes });
  const { devices } = assess(await readSurvey(tree.root()), { addresses: [address], ...more });
  return devices[0]!.reasons.filter(reason => reason.code === code);
}

describe('an NVIDIA card', () => {
  test('with connectors: older drivers want the hypervisor hidden', async () => {
    expect(await said('graphics', '10de:13c2')).toEqual([
      {
        level: 'ok',
        code: 'graphics',
        subject: CARD,
        reason:
          'NVIDIA drivers before 465 for GeForce cards fail in a VM that does not hide that it is one (code 43)',
        repair: ['for such a driver, in the definition: cpus: {hide-hypervisor: true}'],
      },
    ]);
  });

  test('in a VM that hides it', async () => {
    const more = { vm: { ...vm, hideHypervisor: true } };
    const [reason] = await said('graphics', '10de:13c2', { more });
    expect(reason).toMatchObject({ level: 'ok', repair: [] });
    expect(reason!.reason).toBe(
      'the VM hides that it is one, as NVIDIA drivers before 465 for GeForce cards need it',
    );
  });

  test('without connectors, its sound function, and an AMD card need nothing', async () => {
    expect(await said('graphics', '10de:2330', { class: '030200' })).toEqual([]);
    expect(await said('graphics', '10de:22ba', { class: '040300' })).toEqual([]);
    expect(await said('graphics', '1002:73ff')).toEqual([]);
  });
});

describe('integrated graphics', () => {
  const igpu = '0000:00:02.0';

  test('has no connectors in a guest', async () => {
    const tree = desktopTree();
    trees.push(tree);
    const { devices } = assess(await readSurvey(tree.root()), { addresses: [igpu] });
    expect(devices[0]!.reasons.find(({ code }) => code === 'graphics')).toMatchObject({
      level: 'warn',
      reason: expect.stringMatching(/so its connectors stay dark; it renders and encodes$/),
      repair: ['pass a graphics card of its own'],
    });
  });

  test.each([
    ['8086:0412', /before Broadwell do not start$/],
    ['8086:0166', /before Broadwell do not start$/],
    ['8086:5a85', /it renders and encodes$/],
    ['8086:0a84', /it renders and encodes$/],
  ])('of %s', async (id, text) => {
    const tree = serverTree();
    trees.push(tree);
    tree.pci({ address: igpu, id, class: '030000', group: 2 });
    const { devices } = assess(await readSurvey(tree.root()), { addresses: [igpu] });
    expect(devices[0]!.reasons.find(({ code }) => code === 'graphics')!.reason).toMatch(text);
  });

  test('does not include discrete Intel cards', async () => {
    expect(await said('graphics', '8086:56a0')).toEqual([]);
  });
});

describe('an AMD card that hangs in resets', () => {
  test.each([
    ['1002:67df', 'Polaris'],
    ['1002:699f', 'Polaris'],
    ['1002:687f', 'Vega'],
    ['1002:731f', 'Navi 1x'],
  ])('%s is reported, whatever the kernel would try', async (id, family) => {
    const [reason, ...others] = await said('reset', id, { methods: 'pm bus' });
    expect(others).toEqual([]);
    expect(reason!.level).toBe('warn');
    expect(reason!.reason).toContain(`cards of the ${family} family hang`);
    expect(reason!.repair.join()).toContain('vendor-reset');
  });

  test('is not reported with a module for its reset', async () => {
    expect(await said('reset', '1002:67df', { methods: 'device_specific bus' })).toMatchObject([
      { level: 'ok', reason: 'the kernel can reset it by device_specific' },
    ]);
  });

  test("is not a newer one, or another vendor's", async () => {
    expect(await said('reset', '1002:744c', { methods: 'pm' })).toMatchObject([{ level: 'ok' }]);
    expect(await said('reset', '10de:67df', { methods: 'pm' })).toMatchObject([{ level: 'ok' }]);
  });
});
