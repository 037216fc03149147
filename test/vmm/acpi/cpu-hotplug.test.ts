import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildAcpiTables, TABLES_FILE } from '../../../src/vmm/acpi/acpi-tables.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const hasIasl = spawnSync('iasl', ['-v']).status === 0;
const hasAcpiexec = spawnSync('acpiexec', ['-v']).status === 0;

const NODES = [
  { cpus: [0, 1], bytes: 2 ** 30, distances: [10, 20] },
  { cpus: [2, 3], bytes: 2 ** 30, distances: [20, 10] },
];

function dsdtOf({ apicIds = [0, 1, 4, 5], cpuHotplug = true, numa = false } = {}): Uint8Array {
  const { files } = buildAcpiTables({
    ...{ apicIds, cpuHotplug, isPresent: cpu => cpu === 0 },
    ...(numa && { numa: { nodes: NODES, ram: [{ address: 0, size: 2 ** 31 }] } }),
    mmio64: { start: 2 ** 33, size: 2 ** 33 },
    ...{ intxSlots: [], rootPorts: false, hotplugSlots: [], parts: [] },
  });
  const tables = files.get(TABLES_FILE)!;
  const at = Buffer.from(tables).indexOf('DSDT');
  return tables.subarray(at, at + new DataView(tables.buffer, tables.byteOffset).getUint32(at + 4, true));
}

/** What the interpreter makes of it: `acpiexec` has memory in place of the ports, with `fill` in each byte. */
function executeOn(fill: number, dsdt: Uint8Array, ...commands: string[]): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'DSDT.aml'), dsdt);
  const options = { cwd: folder, encoding: 'utf8' } as const;
  const filled = ['-fv', String(fill)];
  return spawnSync('acpiexec', ['-vr', ...filled, '-b', commands.join('; '), 'DSDT.aml'], options).stdout;
}

function execute(dsdt: Uint8Array, ...commands: string[]): string {
  return executeOn(0, dsdt, ...commands);
}

describe('the processors of a machine with hot-pluggable vCPUs', () => {
  it.skipIf(!hasIasl)('disassemble, and recompile to the same code (needs iasl of acpica-tools)', () => {
    for (const dsdt of [dsdtOf(), dsdtOf({ numa: true }), dsdtOf({ apicIds: [...Array(64).keys()] })]) {
      const folder = temporaryFolder();
      const options = { cwd: folder, encoding: 'utf8' } as const;
      writeFileSync(join(folder, 'DSDT.aml'), dsdt);
      const { stdout, stderr } = spawnSync('iasl', ['-d', 'DSDT.aml'], options);
      expect(stdout + stderr).not.toMatch(/error|warning|invalid|incorrect/i);
      const again = spawnSync('iasl', ['-p', 'again', 'DSDT.dsl'], options);
      expect(again.stdout).toMatch(/ 0 Errors, 0 Warnings/);
      const code = (file: string) => readFileSync(join(folder, file)).subarray(36);
      expect(code('again.aml').equals(code('DSDT.aml'))).toBe(true);
    }
  });

  it.skipIf(!hasAcpiexec)('are numbered as in the MADT, and in their NUMA nodes (needs acpiexec)', () => {
    const dsdt = dsdtOf({ numa: true });
    expect(execute(dsdt, 'evaluate \\_SB.CPUS.C002._UID')).toMatch(/\[Integer\] = 0*2\b/);
    expect(execute(dsdt, 'evaluate \\_SB.CPUS.C002._MAT')).toMatch(/0000: 00 08 02 04 01 00 00 00/);
    expect(execute(dsdt, 'evaluate \\_SB.CPUS.C001._PXM')).toMatch(/\[Integer\] = 0*0\b/);
    expect(execute(dsdt, 'evaluate \\_SB.CPUS.C003._PXM')).toMatch(/\[Integer\] = 0*1\b/);
    expect(execute(dsdtOf(), 'evaluate \\_SB.CPUS.C003._PXM')).toMatch(/AE_NOT_FOUND/);
  });

  it.skipIf(!hasAcpiexec)('are present as the registers say (needs acpiexec of acpica-tools)', () => {
    const asked = ['evaluate \\_SB.CPUS.C003._STA', 'evaluate \\_SB.CPUS.CSEL'];
    expect(execute(dsdtOf(), ...asked)).toMatch(/\[Integer\] = 0*0\b[\s\S]*\[Integer\] = 0*3\b/);
    expect(executeOn(1, dsdtOf(), ...asked)).toMatch(/\[Integer\] = 0*F\b[\s\S]*\[Integer\] = 0*3\b/);
  });

  it.skipIf(!hasAcpiexec)('are ejected, except for the first, and report (needs acpiexec)', () => {
    const dsdt = dsdtOf();
    const ejected = execute(
      dsdt,
      'evaluate \\_SB.CPUS.C002._EJ0 1',
      'evaluate \\_SB.CPUS.CSEL',
      'evaluate \\_SB.CPUS.CEJE',
    );
    expect(ejected).toMatch(/\[Integer\] = 0*2\b[\s\S]*\[Integer\] = 0*1\b/);
    expect(execute(dsdt, 'evaluate \\_SB.CPUS.C000._EJ0 1')).toMatch(/AE_NOT_FOUND/);
    const reported = execute(
      dsdt,
      'evaluate \\_SB.CPUS.C001._OST 3 130 (00)',
      'evaluate \\_SB.CPUS.CSEL',
      'evaluate \\_SB.CPUS.CCMD',
      'evaluate \\_SB.CPUS.CDAT',
    );
    expect(reported).not.toMatch(/AE_/);
    expect(reported).toMatch(/= 0*1\b[\s\S]*= 0*2\b[\s\S]*= 0*82\b/);
  });

  it.skipIf(!hasAcpiexec)('are scanned by their event, which ends without any (needs acpiexec)', () => {
    const scanned = execute(dsdtOf(), 'evaluate \\_GPE._E02', 'evaluate \\_SB.CPUS.CCMD');
    expect(scanned).not.toMatch(/AE_/);
    expect(scanned).toMatch(/\[Integer\] = 0*0\b/);
  });

  it('are absent from the tables of a machine without vCPU hotplug', () => {
    const has = (dsdt: Uint8Array) => ['CPUS', '_E02'].map(name => Buffer.from(dsdt).includes(name));
    expect([has(dsdtOf()), has(dsdtOf({ cpuHotplug: false }))]).toEqual([
      [true, true],
      [false, false],
    ]);
  });
});
