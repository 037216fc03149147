import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  removeVariables,
  renameVariables,
  variablesFile,
  withFirmwareFiles,
} from '../../../src/engine/firmware/variables.ts';
import { type FirmwareBoot, parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** Firmware with its template of variables, as packages have them; and a folder for the variables of VMs. */
function host() {
  const root = temporaryFolder();
  const [code, template] = [join(root, 'OVMF_CODE.fd'), join(root, 'OVMF_VARS.fd')];
  writeFileSync(code, 'code');
  writeFileSync(template, 'template');
  const folder = join(root, 'state/firmware');
  const boot = (given: object, name = 'web', into: string | null = folder) =>
    withFirmwareFiles(
      parseMachineConfig({ name, boot: { kind: 'firmware', firmware: 'uefi', path: code, ...given } }),
      into,
    ).boot as FirmwareBoot;
  return { root, code, template, folder, boot };
}

test('a VM has its own variables from its first start', () => {
  const { boot, folder, code } = host();
  const file = variablesFile(folder, 'web');
  expect(boot({})).toMatchObject({ path: code, variables: { file } });
  expect(readFileSync(file, 'utf8')).toBe('template');
  writeFileSync(file, 'of guest');
  expect(boot({})).toMatchObject({ variables: { file } });
  expect(readFileSync(file, 'utf8')).toBe('of guest');
  expect(boot({}, 'db')).toMatchObject({ variables: { file: variablesFile(folder, 'db') } });
});

test('the variables are renamed and deleted with the VM', () => {
  const { boot, folder } = host();
  boot({});
  writeFileSync(variablesFile(folder, 'web'), 'of guest');
  renameVariables(folder, 'web', 'site');
  expect(readFileSync(variablesFile(folder, 'site'), 'utf8')).toBe('of guest');
  // The configuration of its last run still has the old name.
  expect(boot({ variables: { file: variablesFile(folder, 'web') } }, 'site')).toMatchObject({
    variables: { file: variablesFile(folder, 'site') },
  });
  removeVariables(folder, 'site');
  expect(existsSync(variablesFile(folder, 'site'))).toBe(false);
  removeVariables(folder, 'site');
});

test('the variables are at the path in the definition, and created if missing', () => {
  const { boot, root } = host();
  const file = join(root, 'mine.fd');
  expect(boot({ variables: { file } })).toMatchObject({ variables: { file } });
  expect(readFileSync(file, 'utf8')).toBe('template');
});

test('variables without a path are discarded with the machine', () => {
  const { boot, template } = host();
  expect(boot({}, 'web', null).variables).toEqual({ template });
});

test('firmware in a single image has no variables file', () => {
  const { boot, root } = host();
  const path = join(root, 'OVMF.fd');
  writeFileSync(path, 'both');
  expect(boot({ path }).variables).toEqual({});
});

test('rejects conflicting options', () => {
  const { boot, folder, template, root } = host();
  mkdirSync(folder, { recursive: true });
  writeFileSync(variablesFile(folder, 'web'), 'of other firmware');
  expect(() => boot({})).toThrow(/has variables of a firmware other than .*move it away/);
  expect(() => boot({ path: join(root, 'OVMF_CODE.secboot.fd') }, 'db')).toThrow(/needs SMM/);
  expect(() => boot({ path: join(root, 'X_CODE.fd') }, 'db')).toThrow(/X_VARS.fd is missing/);
  expect(existsSync(template)).toBe(true);
});
