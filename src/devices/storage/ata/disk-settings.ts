import type { DeviceState } from '../../device.ts';
import { booleanOf, DeviceStateError, numberOf, stateOf } from '../../state.ts';
import type { CommandRegisters } from './ata-drive.ts';
import { DEFAULT_GEOMETRY, type DmaMode, type Geometry, MAX_MULTIPLE } from './identify.ts';
import { FEATURE } from './registers.ts';
import { dmaModeOf, loadDmaMode } from './transfer-mode.ts';

/** The settings that a host makes, and that a software reset may revert. */
export type DiskSettings = {
  multiple: number;
  geometry: Geometry;
  dma: DmaMode;
  writeCache: boolean;
  lookAhead: boolean;
  smart: boolean;
  /** SET FEATURES 66h: a software reset keeps the other settings. */
  keepsSettings: boolean;
};

export const POWER_ON: DiskSettings = {
  multiple: MAX_MULTIPLE,
  geometry: DEFAULT_GEOMETRY,
  dma: { kind: 'none', mode: 0 },
  writeCache: true,
  lookAhead: true,
  smart: true,
  keepsSettings: false,
};

/**
 * The settings after a software reset: transfer modes and the geometry survive (ACS-3 §9.16), the others only if the
 * host has asked for that.
 */
export function afterSoftReset(settings: DiskSettings): DiskSettings {
  const { keepsSettings, geometry, dma, smart } = settings;
  return keepsSettings ? settings : { ...POWER_ON, geometry, dma, smart };
}

/** SET FEATURES (ACS-3 §7.45). @returns false if the drive does not support the feature */
export function setFeature(settings: DiskSettings, { features, count }: CommandRegisters): boolean {
  switch (features & 0xff) {
    case FEATURE.enableWriteCache:
    case FEATURE.disableWriteCache:
      settings.writeCache = (features & 0xff) === FEATURE.enableWriteCache;
      return true;
    case FEATURE.enableReadLookAhead:
    case FEATURE.disableReadLookAhead:
      settings.lookAhead = (features & 0xff) === FEATURE.enableReadLookAhead;
      return true;
    case FEATURE.keepSettings:
    case FEATURE.revertSettings:
      settings.keepsSettings = (features & 0xff) === FEATURE.keepSettings;
      return true;
    case FEATURE.enableApm:
    case FEATURE.disableApm:
      return true;
    case FEATURE.setTransferMode: {
      const mode = dmaModeOf(count & 0xff);
      if (mode !== null) settings.dma = mode;
      return mode !== null;
    }
    default:
      return false;
  }
}

/** Whether blocks of READ MULTIPLE can have this many sectors; 0 disables it. */
export function isBlockCount(count: number): boolean {
  return count <= MAX_MULTIPLE && (count & (count - 1)) === 0;
}

export function saveSettings({ geometry, dma, ...rest }: DiskSettings): DeviceState {
  return { ...rest, heads: geometry.heads, sectors: geometry.sectors, dma: { ...dma } };
}

/** @throws DeviceStateError */
export function loadSettings(state: DeviceState): DiskSettings {
  const multiple = numberOf(state, 'multiple', MAX_MULTIPLE);
  const geometry = { heads: numberOf(state, 'heads', 16), sectors: numberOf(state, 'sectors', 255) };
  if (!isBlockCount(multiple)) throw new DeviceStateError('multiple', 'power of two');
  if (geometry.heads === 0 || geometry.sectors === 0) throw new DeviceStateError('heads', 'geometry');
  return {
    multiple,
    geometry,
    dma: loadDmaMode(stateOf(state, 'dma')),
    writeCache: booleanOf(state, 'writeCache'),
    lookAhead: booleanOf(state, 'lookAhead'),
    smart: booleanOf(state, 'smart'),
    keepsSettings: booleanOf(state, 'keepsSettings'),
  };
}
