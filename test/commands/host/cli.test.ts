import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { serverTree } from '../../host/trees/server.ts';
import { DocumentedTypes } from '../../support/documented-types.ts';

const tree = serverTree();
tree.root();
afterAll(() => tree.remove());

const documented = new DocumentedTypes('docs/host.md');
const cli = join(import.meta.dirname, '../../../src/cli.ts');

/** Runs `vring ... --host-root` on the server's tree. */
function vring(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const { promise, resolve } = Promise.withResolvers<{ status: number; stdout: string; stderr: string }>();
  const root = args.includes('--host-root') ? [] : ['--host-root', tree.directory];
  execFile(process.execPath, [cli, ...args, ...root], (error, stdout, stderr) => {
    resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr });
  });
  return promise;
}

describe('the command line', () => {
  test.each([
    [['pci', '--json'], 'pci list'],
    [['pci', 'show', '3b:0.0', '--json'], 'pci show'],
    [['pci', 'tree', '--json'], 'pci tree'],
    [['iommu', '--json'], 'iommu list'],
    [['sriov', '--json'], 'sriov list'],
    [['vfio', '--json'], 'vfio list'],
    [['doctor', '--json'], 'doctor'],
    [['passthrough', 'check', 'b0:00.0', '--json'], 'passthrough check'],
    [['vfio', 'bind', 'b0:00.0', '--dry-run', '--json'], 'change'],
  ])('%j prints the document that docs/host.md describes, and nothing else', async (args, command) => {
    const { status, stdout, stderr } = await vring(...args);
    expect([status, stderr]).toEqual([0, '']);
    const { version, ...document } = JSON.parse(stdout);
    expect(version).toBe(1);
    expect(documented.misfits(document, command)).toEqual([]);
  });

  test.each([
    [['pci', 'show', '7f:00.0'], 1, 'no PCI function 7f:00.0 on this host'],
    [['vfio', 'bind', 'b0:00.0'], 1, 'is a recorded host and cannot be changed'],
    [['vfio', 'bind', '3b:00.0'], 1, 'refused: Bind 0000:3b:00.0 to vfio-pci'],
    [['pci', 'show', 'eth0'], 2, 'eth0 is not a PCI address'],
    [['sriov', 'set', '3b:00.0', 'many'], 2, 'expected a whole number'],
    [['passthrough', 'check', 'eth0'], 2, 'eth0 is not a PCI address'],
    [['passthrough', 'check'], 2, 'name a PCI function, or a VM with --vm'],
    [['vfio', 'frob'], 2, 'there is no command "vfio frob"; expected list, bind, unbind'],
    [['vfio', 'bind'], 2, "missing required argument 'address'"],
    [['pci', 'list', '--host-root', '/nonexistent'], 2, 'expected a directory that vring host record wrote'],
  ])('%j ends with its reason on standard error', async (args, expected, reason) => {
    const { status, stdout, stderr } = await vring(...args);
    expect([status, stdout]).toEqual([expected, '']);
    expect(stderr).toContain(reason);
  });
});
