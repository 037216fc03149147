import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { integer, name } from '../../../src/devices/acpi/aml.ts';
import { portWindow } from '../../../src/devices/acpi/resources.ts';
import { buildAcpiTables, TABLES_FILE, TPM_LOG_FILE } from '../../../src/vmm/acpi/acpi-tables.ts';
import { nodeRanges } from '../../../src/vmm/acpi/numa.ts';
import { builtinParts, type FoundTable, placeTables } from '../../support/acpi.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const options = {
  parts: [...builtinParts(), { at: { slot: 3, function: 1 }, pciFunction: name('_SUN', integer(3)) }],
  apicIds: Array.from({ length: 64 }, (_, index) => index),
  isPresent: () => true,
  mmio64: { start: 2 ** 33, size: 2 ** 35 },
  intxSlots: [1, 2, 3, 31],
  rootPorts: true,
  hotplugSlots: [2, 30],
};
const START = 0xe_0000;
const tables = placeTables(options, START);
const find = (signature: string, from = tables) => from.find(table => table.signature === signature)!;
const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
const hasIasl = spawnSync('iasl', ['-v']).status === 0;
const hasAcpiexec = spawnSync('acpiexec', ['-v']).status === 0;

describe('ACPI tables', () => {
  it.each([START, 0x1_2340])('have valid checksums, and are linked from the RSDP, at 0x%s', start => {
    const placed = placeTables(options, start);
    expect(placed.map(({ signature }) => signature)).toEqual([
      ...['RSD ', 'XSDT', 'FACP', 'APIC', 'MCFG', 'FACS', 'DSDT'],
    ]);
    for (const { signature, bytes } of placed) {
      if (signature !== 'FACS') expect(sum(bytes), signature).toBe(0);
    }
    expect(sum(placed[0]!.bytes.subarray(0, 20))).toBe(0);
    expect(placed[0]!.address).toBe(start);
    const fadt = find('FACP', placed).view;
    expect(fadt.getUint32(36, true)).toBe(find('FACS', placed).address);
    expect(fadt.getUint32(40, true)).toBe(find('DSDT', placed).address);
    expect(find('FACS', placed).address % 64).toBe(0);
  });

  it('leave each checksum to the loader, which sets or adjusts it once', () => {
    const parts = [...options.parts, { tpm2: { startMethod: 7, controlArea: 0xfed4_0040 } }];
    const placed = {
      ...{ ecam: null, io: [], mmio32: [], reserved: [], pmBase: 0x600, gpe0: 0x620 },
      interruptOf: () => 16,
    };
    const { files, commands } = buildAcpiTables({ ...options, parts, placed });
    const checksums = commands.filter(command => command.kind === 'add-checksum');
    // FADT, TPM2, XSDT, RSDT, and the two of the RSDP.
    expect(checksums).toHaveLength(6);
    for (const { file, offset } of checksums) expect(files.get(file)![offset]).toBe(0);
    expect(new Set(checksums.map(({ file, offset }) => `${file} ${offset}`)).size).toBe(6);
  });

  it('describe the fixed ports of PCI functions that the host bridge forwards', () => {
    const window = Buffer.from(portWindow(0x1f0, 8));
    const has = (from: FoundTable[]) => Buffer.from(find('DSDT', from).bytes).includes(window);
    const ide = { fixedPorts: [{ start: 0x1f0, size: 8 }] };
    expect(has(placeTables({ ...options, parts: [...options.parts, ide] }, START))).toBe(true);
    expect(has(tables)).toBe(false);
  });

  it('describe the start method of a TPM, and the location of its log', () => {
    const parts = [...options.parts, { tpm2: { startMethod: 7, controlArea: 0xfed4_0040 } }];
    const { view } = find('TPM2', placeTables({ ...options, parts }, START));
    expect([view.byteLength, view.getBigUint64(40, true), view.getUint32(48, true)]).toEqual([
      64,
      0xfed4_0040n,
      7,
    ]);
    const placed = {
      ...{ ecam: null, io: [], mmio32: [], reserved: [], pmBase: 0x600, gpe0: 0x620 },
      interruptOf: () => 16,
    };
    const { files, commands } = buildAcpiTables({ ...options, parts, placed });
    expect(files.get(TPM_LOG_FILE)).toEqual(new Uint8Array(0x1_0000));
    const pointer = commands.find(command => command.kind === 'add-pointer' && command.to === TPM_LOG_FILE);
    expect(pointer).toMatchObject({ file: TABLES_FILE, size: 8 });
    const { offset } = pointer as Extract<typeof pointer, { kind: 'add-pointer' }>;
    const tables = Buffer.from(files.get(TABLES_FILE)!);
    expect(tables.toString('latin1', offset - 68, offset - 64)).toBe('TPM2');
    expect([tables.readUInt32LE(offset - 64), tables.readUInt32LE(offset - 4)]).toEqual([76, 0x1_0000]);
  });

  it('do not overlap', () => {
    let end = START;
    for (const { address, bytes } of tables.toSorted((a, b) => a.address - b.address)) {
      expect(address).toBeGreaterThanOrEqual(end);
      end = address + bytes.length;
    }
    expect(end).toBeLessThanOrEqual(0x10_0000);
  });

  it('show vCPUs that may come later as not enabled but online-capable', () => {
    const { view } = find(
      'APIC',
      placeTables({ ...options, apicIds: [0, 1, 2, 4], isPresent: (cpu: number) => cpu < 2 }, START),
    );
    const processors: (readonly [number, number])[] = [];
    for (let at = 44; at < view.byteLength; at += view.getUint8(at + 1)) {
      if (view.getUint8(at) === 0) processors.push([view.getUint8(at + 3), view.getUint32(at + 4, true)]);
    }
    expect(processors).toEqual([
      [0, 0b01],
      [1, 0b01],
      [2, 0b10],
      [4, 0b10],
    ]);
  });

  it('describe a keyboard controller only if there is one', () => {
    const has8042 = 1 << 1;
    expect(find('FACP').view.getUint16(109, true) & has8042).toBe(has8042);
    const without = placeTables({ ...options, parts: [] }, START);
    expect(find('FACP', without).view.getUint16(109, true) & has8042).toBe(0);
    expect(Buffer.from(find('DSDT', without).bytes).includes('COM1')).toBe(false);
  });

  it.skipIf(!hasIasl)(
    'disassemble, compile again, and describe the machine (needs iasl of acpica-tools)',
    () => {
      const folder = temporaryFolder();
      const source = Object.fromEntries(
        tables.slice(1).map(table => [table.signature, disassemble(folder, table)]),
      );
      expect(source.FACP).toMatch(
        /Reset Register : \[Generic Address Structure\][\s\S]*?Address : 0000000000000CF9/,
      );
      expect(source.FACP).toMatch(/Control Method Power Button \(V1\) : 0/);
      expect(source.FACP).toMatch(/Hardware Reduced \(V5\) : 0/);
      expect(source.APIC!.match(/Subtable Type : 00 \[Processor Local APIC\]/g)).toHaveLength(64);
      expect(source.MCFG).toMatch(/Base Address : 00000000E0000000/);
      expect(source.DSDT).toMatch(/0x0000000200000000, \/\/ Range Minimum/);
      expect(source.DSDT).toMatch(/0x001FFFFF,\s+Zero,\s+Zero,\s+0x13/);
      expect(source.DSDT!.match(/Device \(\w+\)/g)).toEqual(
        ['PCI0', 'S100', 'SF00', 'S190', 'COM1', 'RTC', 'KBD', 'MOU', 'MBRD'].map(name => `Device (${name})`),
      );
      expect(source.DSDT).toMatch(/Device \(S190\)\s*\{\s*Name \(_ADR, 0x00030001\)/);
      expect(source.DSDT).toMatch(/Device \(SF00\)\s*\{\s*Name \(_ADR, 0x001E0000\)/);
      expect(source.FACP).toMatch(/GPE0 Block Address : 00000610/);
      expect(source.DSDT).toMatch(/Name \(_S5, Package/);
      expect(source.DSDT).toMatch(/Method \(_OSC, 4, Serialized\)/);
      expect(source.DSDT).toMatch(/ToUUID \("33db4d5b-1ff7-401c-9657-7441c03dd766"\)/);
      const again = spawnSync('iasl', ['-p', 'again', 'DSDT.dsl'], { cwd: folder, encoding: 'utf8' });
      expect(again.stdout).toMatch(/ 0 Errors, 0 Warnings/);
      const code = (file: string) => readFileSync(join(folder, file)).subarray(36);
      expect(code('again.aml').equals(code('DSDT.aml'))).toBe(true);
    },
  );
});

describe('power management events', () => {
  const withCard = () => placeTables({ ...options, parts: [...options.parts, { assertsPme: true }] }, START);

  it.skipIf(!hasIasl)('wake the machine up from S3, and notify the host bridge', () => {
    const source = disassemble(temporaryFolder(), find('DSDT', withCard()));
    expect(source).toMatch(/Name \(_PRW, Package \(0x02\)[^}]*0x0D,\s*0x03/);
    expect(source).toMatch(/Method \(_L0D, 0, Serialized\)[^}]*Notify \(\\_SB\.PCI0, 0x02\)/);
  });

  it('are absent from the tables of a machine whose devices have none', () => {
    const has = (tables?: ReturnType<typeof withCard>) => {
      const dsdt = Buffer.from(find('DSDT', tables).bytes);
      return ['_PRW', '_L0D'].map(name => dsdt.includes(name));
    };
    expect([has(withCard()), has()]).toEqual([
      [true, true],
      [false, false],
    ]);
  });
});

describe('the host bridge', () => {
  const HOST_BRIDGE = '5b 4d db 33 f7 1f 1c 40 96 57 74 41 c0 3d d7 66';

  it.skipIf(!hasAcpiexec)(
    'lets the guest manage the slots of root ports (needs acpiexec of acpica-tools)',
    () => {
      const folder = temporaryFolder();
      writeFileSync(join(folder, 'DSDT.aml'), find('DSDT').bytes);
      /** The status and the controls that are granted. */
      const ask = (uuid: string, revision: number, controls: string) => {
        const call = `evaluate \\_SB.PCI0._OSC (${uuid}) ${revision} 3 (00 00 00 00 00 00 00 00 ${controls} 00 00 00)`;
        const { stdout } = spawnSync('acpiexec', ['-b', call, 'DSDT.aml'], { cwd: folder, encoding: 'utf8' });
        const bytes = /0000: ((?:[0-9A-F]{2} ){12})/.exec(stdout)?.[1]?.split(' ');
        return [bytes?.[0], bytes?.[8]];
      };
      expect(ask(HOST_BRIDGE, 1, '15')).toEqual(['00', '15']);
      expect(ask(HOST_BRIDGE, 1, '1f')).toEqual(['10', '15']);
      expect(ask(HOST_BRIDGE, 1, '01')).toEqual(['00', '01']);
      expect(ask(HOST_BRIDGE, 2, '05')).toEqual(['08', '05']);
      expect(ask(HOST_BRIDGE.replace('5b', '5c'), 1, '15')).toEqual(['04', '15']);
    },
  );

  it('grants nothing without root ports', () => {
    const without = placeTables({ ...options, rootPorts: false }, START);
    expect(Buffer.from(find('DSDT', without).bytes).includes('_OSC')).toBe(false);
    expect(Buffer.from(find('DSDT').bytes).includes('_OSC')).toBe(true);
  });
});

function disassemble(folder: string, { signature, bytes }: FoundTable): string {
  writeFileSync(join(folder, `${signature}.aml`), bytes);
  const run = spawnSync('iasl', ['-d', `${signature}.aml`], { cwd: folder, encoding: 'utf8' });
  expect(run.status, run.stderr).toBe(0);
  expect(run.stdout + run.stderr).not.toMatch(/error|warning|invalid|incorrect/i);
  return readFileSync(join(folder, `${signature}.dsl`), 'utf8');
}

describe('a hot-pluggable slot', () => {
  /** What the interpreter does with a register: `acpiexec` has memory in place of the ports. */
  const execute = (...commands: string[]) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'DSDT.aml'), find('DSDT').bytes);
    const { stdout } = spawnSync('acpiexec', ['-vr', '-b', commands.join('; '), 'DSDT.aml'], {
      cwd: folder,
      encoding: 'utf8',
    });
    return stdout;
  };

  it.skipIf(!hasAcpiexec)('has the number of its address (needs acpiexec of acpica-tools)', () => {
    expect(execute('evaluate \\_SB.PCI0.SF00._SUN')).toMatch(/\[Integer\] = 0*1E\b/i);
    expect(execute('evaluate \\_SB.PCI0.SF00._ADR')).toMatch(/\[Integer\] = 0*1E0000\b/i);
  });

  it.skipIf(!hasAcpiexec)('is ejected by its bit, and the event scans all slots', () => {
    expect(execute('evaluate \\_SB.PCI0.SF00._EJ0 1')).not.toMatch(/error|AE_/i);
    const ejected = execute('evaluate \\_SB.PCI0.S100._EJ0 1', 'evaluate \\_SB.PCI0.B0EJ');
    expect(ejected).toMatch(/\[Integer\] = 0*4\b/);
    const output = execute(
      'evaluate \\_SB.PCI0.S100._EJ0 1',
      ...['evaluate \\_GPE._E01', 'evaluate \\_SB.PCI0.PCIU'],
    );
    expect(output).not.toMatch(/AE_(?!OK)/);
  });

  it('is absent from the tables of a machine without one', () => {
    const without = placeTables({ ...options, hotplugSlots: [] }, START);
    const dsdt = Buffer.from(find('DSDT', without).bytes);
    expect(['_EJ0', '_E01', 'PCST'].some(name => dsdt.includes(name))).toBe(false);
  });
});

describe('NUMA nodes', () => {
  const GiB = 2 ** 30;
  const nodes = [
    { cpus: [0, 2], bytes: 2 * GiB, distances: [10, 21] },
    { cpus: [1, 3], bytes: 3 * GiB, distances: [20, 10] },
  ];
  const ram = [
    { address: 0, size: 3 * GiB },
    { address: 4 * GiB, size: 2 * GiB },
  ];
  const placed = placeTables(
    { ...options, apicIds: [0, 1, 4, 5], isPresent: (cpu: number) => cpu < 2, numa: { nodes, ram } },
    START,
  );
  const table = (signature: string) => find(signature, placed);

  it('have their memory, which may span the hole below 4 GiB', () =>
    expect(nodeRanges(nodes, ram)).toEqual([
      { node: 0, address: 0, size: 2 * GiB },
      { node: 1, address: 2 * GiB, size: GiB },
      { node: 1, address: 4 * GiB, size: 2 * GiB },
    ]));

  it('are in the SRAT: each vCPU by its APIC ID, and each range of memory', () => {
    const srat = table('SRAT').view;
    const entries: unknown[] = [];
    for (let at = 48; at < srat.byteLength; at += srat.getUint8(at + 1)) {
      entries.push(
        srat.getUint8(at) === 0
          ? {
              node: srat.getUint8(at + 2),
              apic: srat.getUint8(at + 3),
              enabled: srat.getUint32(at + 4, true),
            }
          : {
              node: srat.getUint32(at + 2, true),
              address: Number(srat.getBigUint64(at + 8, true)),
              size: Number(srat.getBigUint64(at + 16, true)),
              enabled: srat.getUint32(at + 28, true),
            },
      );
    }
    expect(entries).toEqual([
      { node: 0, apic: 0, enabled: 1 },
      { node: 0, apic: 4, enabled: 1 },
      { node: 1, apic: 1, enabled: 1 },
      { node: 1, apic: 5, enabled: 1 },
      ...nodeRanges(nodes, ram).map(range => ({ ...range, enabled: 1 })),
    ]);
    expect(sum(table('SRAT').bytes)).toBe(0);
  });

  it('have their distances in the SLIT', () => {
    const slit = table('SLIT').view;
    expect(slit.getBigUint64(36, true)).toBe(2n);
    expect([...table('SLIT').bytes.subarray(44)]).toEqual([10, 21, 20, 10]);
    expect(sum(table('SLIT').bytes)).toBe(0);
  });

  it('are absent from the tables if there are none', () =>
    expect(tables.some(({ signature }) => /SRAT|SLIT/.test(signature))).toBe(false));
});
