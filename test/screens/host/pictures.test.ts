import { describe, expect, test, vi } from 'vitest';
import { plainGlyphs, unicodeGlyphs } from '../../../src/theme/glyphs.ts';
import { desktopTree } from '../../host/trees/desktop.ts';
import { noIommuTree } from '../../host/trees/no-iommu.ts';
import { serverTree } from '../../host/trees/server.ts';
import { HostDriver } from '../../support/host-driver.ts';
import { styledScreen, styleMap } from '../../support/styles.ts';

// Ink's colors look at it once, when they are loaded.
vi.hoisted(() => {
  process.env.FORCE_COLOR = '1';
});

const SIZES = [
  [80, 24],
  [120, 40],
  [60, 20],
] as const;

/** Each screen, and the keys that lead to it from the one before. */
const SCREENS = [
  ['PCI', ['2', 'jj']],
  ['PCI with a filter and marks', ['/3b:\r', 'jj  ']],
  ['IOMMU', ['\x1b', '\x1b', '3', 'jjj']],
  ['SR-IOV', ['4jj']],
  ['SR-IOV with a count being typed', ['E8']],
  ['vfio', ['\x1b', '5']],
  ['Doctor', ['6']],
  ['a function', ['5\r']],
  ['the plan of a change that is blocked', ['4gB', '\t00']],
] as const;

function start(...options: ConstructorParameters<typeof HostDriver>): HostDriver {
  return new HostDriver(...options);
}

/** What is drawn in ASCII for what a screen shows. */
function inAscii(screen: string): string {
  const pairs = [
    [unicodeGlyphs.ellipsis, plainGlyphs.ellipsis],
    [unicodeGlyphs.rule, plainGlyphs.rule],
    [unicodeGlyphs.separator, plainGlyphs.separator],
    [unicodeGlyphs.fold.open, plainGlyphs.fold.open],
    [unicodeGlyphs.fold.closed, plainGlyphs.fold.closed],
    [unicodeGlyphs.bracket.first, plainGlyphs.bracket.first],
    [unicodeGlyphs.bracket.middle, plainGlyphs.bracket.middle],
    [unicodeGlyphs.bracket.last, plainGlyphs.bracket.last],
  ] as const;
  return pairs.reduce((text, [unicode, ascii]) => text.replaceAll(unicode, ascii), screen);
}

test.each(SIZES)('every screen at %i x %i: in color, without, and in ASCII', async (columns, rows) => {
  const size = { columns, rows };
  const colored = start(serverTree(), size);
  const plain = start(serverTree(), { ...size, env: { TERM: 'xterm', LANG: 'C.UTF-8', NO_COLOR: '1' } });
  const ascii = start(serverTree(), { ...size, env: { TERM: 'xterm', LANG: 'C' } });
  const drivers = [colored, plain, ascii];
  for (const [name, keys] of SCREENS) {
    await Promise.all(drivers.map(driver => driver.press(...keys)));
    expect(styledScreen(colored.terminal)).toMatchSnapshot(name);
    expect(colored.terminal.wrapped).toBe(false);
    expect(plain.screen).toBe(colored.screen);
    expect(styleMap(plain.terminal).join('')).not.toMatch(/[rgymc]/i);
    expect(ascii.screen).toBe(inAscii(colored.screen));
    expect(ascii.screen).toMatch(/^[\x20-\x7e\n]*$/);
  }
});

test('no terminal is too small for any screen', async () => {
  for (const [columns, rows] of [
    [1, 1],
    [12, 4],
    [40, 9],
  ] as const) {
    const driver = start(serverTree(), { columns, rows });
    for (const [, keys] of SCREENS) {
      await driver.press(...keys);
      expect(driver.terminal.stdout.written).not.toContain('could not be drawn');
      expect(driver.terminal.wrapped).toBe(false);
    }
  }
});

test('a wide terminal shows the details beside the list', async () => {
  const driver = start(serverTree(), { columns: 170, rows: 24 });
  await driver.press('3', 'jjj');
  expect(driver.screen).toMatchSnapshot();
  expect(driver.terminal.wrapped).toBe(false);
});

describe('special conditions of a host are visible', () => {
  test('a group of functions that share a port without ACS', async () => {
    const driver = start(desktopTree());
    await driver.press('3', 'jj');
    expect(driver.screen).toMatchSnapshot();
  });

  test('isolation faked by pcie_acs_override', async () => {
    const driver = start(desktopTree({ acsOverride: true }));
    await driver.press('3', 'G');
    expect(driver.screen).toMatchSnapshot();
  });

  test('a host without an IOMMU', async () => {
    const driver = start(noIommuTree());
    await driver.press('3');
    expect(driver.screen).toContain(
      'No IOMMU groups: this machine has no IOMMU, or it is off; 6 shows what to do',
    );
    await driver.press('4');
    expect(driver.screen).toContain('No device here can have virtual functions');
    await driver.press('6');
    expect(driver.screen).toMatchSnapshot();
  });
});
