import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { serverTree } from '../../host/trees/server.ts';

const tree = serverTree();
tree.root();
afterAll(() => tree.remove());

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
    [['pci', '--json'], ['functions']],
    [['pci', 'show', '3b:0.0', '--json'], ['function']],
    [['pci', 'tree', '--json'], ['buses']],
    [['iommu', '--json'], ['groups']],
    [['sriov', '--json'], ['physicalFunctions']],
    [
      ['vfio', '--json'],
      ['modules', 'container', 'iommufd', 'devices', 'holdersComplete', 'functions'],
    ],
    [
      ['doctor', '--json'],
      ['distribution', 'findings'],
    ],
    [
      ['passthrough', 'check', 'b0:00.0', '--json'],
      ['possible', 'devices', 'reasons', 'api', 'unsafe', 'plan', 'losses', 'memory'],
    ],
    [
      ['vfio', 'bind', 'b0:00.0', '--dry-run', '--json'],
      ['plan', 'outcome'],
    ],
  ])('%j gives its document on standard output, and nothing else', async (args, keys) => {
    const { status, stdout, stderr } = await vring(...args);
    expect([status, stderr]).toEqual([0, '']);
    expect(Object.keys(JSON.parse(stdout))).toEqual(['version', ...keys]);
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
