import { describe, expect, it } from 'vitest';
import { ManifestError, manifestText, parseManifest } from '../../../src/vmm/snapshot/manifest.ts';
import { manifestWith } from './manifests.ts';

describe('a manifest', () => {
  it('is read back as written', () => {
    const manifest = manifestWith({ definition: 'name: web\n', parent: 'zero' });
    expect(parseManifest(manifestText(manifest))).toEqual(manifest);
  });

  it('is rejected if a byte was changed or is missing', () => {
    const text = manifestText(manifestWith());
    for (let at = 0; at < text.length; at += 7) {
      const digit = text[at] === '3' ? '4' : '3';
      const edited = text.slice(0, at) + digit + text.slice(at + 1);
      // White space does not matter.
      if (/\s/.test(text[at]!)) continue;
      expect(() => parseManifest(edited), `at ${at}: ${text.slice(at - 10, at + 10)}`).toThrow(ManifestError);
    }
    expect(() => parseManifest(text.slice(0, -10))).toThrow('snapshot.json is truncated or damaged');
    expect(() => parseManifest('[]')).toThrow('damaged');
    expect(() => parseManifest(text.replace('"web"', '"db"'))).toThrow('was edited or is damaged');
  });

  it('names the version that reads another format before checking anything else', () => {
    const other = JSON.stringify({ format: 2, vring: '9.0', what: 'ever' });
    expect(() => parseManifest(other)).toThrow(
      'written by vring 9.0 in format 2, and this vring reads format 1',
    );
  });

  it('names a device that this version lacks', () => {
    const { config, ...rest } = manifestWith();
    const device = { type: 'quantum-nic' };
    const unknown = { ...rest, config: { ...config, devices: [device] } };
    const text = manifestText(unknown as never);
    expect(() => parseManifest(text)).toThrow(/cannot build its machine: devices\.0/);
  });

  it('is rejected with missing, wrong or unknown keys, even with a valid checksum', () => {
    const manifest = manifestWith();
    const wrong = [
      { ...manifest, more: 1 },
      { ...manifest, cpu: undefined },
      { ...manifest, ram: { ...manifest.ram, bytes: -1 } },
      { ...manifest, config: { ...manifest.config, name: '../up' } },
      { ...manifest, state: { bytes: 1, sha256: 'no' } },
    ];
    for (const value of wrong)
      expect(() => parseManifest(manifestText(value as never))).toThrow(ManifestError);
  });
});
