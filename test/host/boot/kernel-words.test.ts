import { expect, test } from 'vitest';
import {
  editedWords,
  kernelWords,
  type ParameterRequest,
  wordEdits,
} from '../../../src/host/boot/kernel-words.ts';

const intel: ParameterRequest = { add: ['intel_iommu=on', 'iommu=pt'], remove: [] };
const amd: ParameterRequest = { add: ['iommu=pt'], remove: ['amd_iommu=off'] };

function edited(line: string, request: ParameterRequest): string {
  const words = kernelWords(line).map(word => word.text);
  return editedWords(words, wordEdits(words, request)).join(' ');
}

test.each([
  ['quiet', 'quiet intel_iommu=on iommu=pt'],
  ['intel_iommu=on iommu=pt', 'intel_iommu=on iommu=pt'],
  ['intel_iommu=on,igfx_off quiet', 'intel_iommu=on,igfx_off quiet iommu=pt'],
  ['intel_iommu=sm_on,on iommu=pt', 'intel_iommu=sm_on,on iommu=pt'],
  ['intel-iommu=on iommu=pt', 'intel-iommu=on iommu=pt'],
  ['"intel_iommu=on" iommu=pt', '"intel_iommu=on" iommu=pt'],
  // Each word adds to the ones before, and the last of "on" and "off" counts.
  ['intel_iommu=igfx_off iommu=pt', 'intel_iommu=on,igfx_off iommu=pt'],
  ['intel_iommu=off quiet', 'quiet intel_iommu=on iommu=pt'],
  ['intel_iommu=off,sm_on iommu=pt', 'intel_iommu=on,sm_on iommu=pt'],
  ['intel_iommu=off iommu=pt intel_iommu=on', 'intel_iommu=off iommu=pt intel_iommu=on'],
  ['intel_iommu=on iommu=pt intel_iommu=off', 'intel_iommu=on iommu=pt'],
  ['intel_iommu=on iommu=force', 'intel_iommu=on iommu=pt,force'],
  ['intel_iommu=on iommu=nopt', 'intel_iommu=on iommu=pt'],
  // "iommu=off" is not taken back by what follows it.
  ['intel_iommu=on iommu=off iommu=pt', 'intel_iommu=on iommu=pt'],
  ['intel_iommu=on iommu.passthrough=1', 'intel_iommu=on iommu.passthrough=1'],
  ['intel_iommu=on iommu=pt iommu.passthrough=0', 'intel_iommu=on iommu=pt'],
])('Intel: %j becomes %j', (line, expected) => {
  expect(edited(line, intel)).toBe(expected);
});

test.each([
  ['quiet', 'quiet iommu=pt'],
  ['amd_iommu=on iommu=pt', 'amd_iommu=on iommu=pt'],
  ['amd_iommu=off quiet', 'quiet iommu=pt'],
  ['amd_iommu=off,fullflush iommu=pt', 'amd_iommu=fullflush iommu=pt'],
  ['amd_iommu=on amd_iommu=off iommu=pt', 'amd_iommu=on iommu=pt'],
])('AMD: %j becomes %j', (line, expected) => {
  expect(edited(line, amd)).toBe(expected);
});

test('of other parameters the last word takes effect', () => {
  const request = { add: ['vfio-pci.ids=3:4'], remove: [] };
  expect(edited('vfio_pci.ids=1:2 quiet', request)).toBe('quiet vfio-pci.ids=3:4');
  expect(edited('vfio_pci.ids=1:2 vfio-pci.ids=3:4', request)).toBe('vfio_pci.ids=1:2 vfio-pci.ids=3:4');
});

test('a quoted value is one word, and what follows -- is for init', () => {
  const words = kernelWords('a="b c" d -- intel_iommu=on').map(word => word.text);
  expect(words).toEqual(['a="b c"', 'd']);
});
