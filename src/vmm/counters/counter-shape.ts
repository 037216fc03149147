import { deviceTable } from '../../devices/registry.ts';
import { maxCpus } from '../cpu/cpu-topology.ts';
import type { MachineConfig } from '../machine/config.ts';
import { type CounterShape, MAX_KEYED_REGIONS } from './counters.ts';

/** Virtqueues of hot-plugged devices. */
const SPARE_QUEUES = 64;
/**
 * Hot-plugged devices, and the most ranges of ports and memory of any device: six BARs, an expansion ROM and one more.
 */
const SPARE_DEVICES = 32;
const REGIONS_PER_DEVICE = 8;
/** Of the chipset and the devices that every machine has, and for unclaimed accesses. */
const BUILTIN_REGIONS = 48;

/**
 * The number of counter blocks of a configuration's machine. Its manager creates the counters, so every process that
 * maps them computes this. Unused blocks cost address space, but hardly any memory.
 */
export function counterShape(config: Pick<MachineConfig, 'cpus' | 'maxCpus' | 'devices'>): CounterShape {
  const queues = config.devices.map(device => deviceTable.find(device.type)?.queues?.(device) ?? 0);
  const regions = BUILTIN_REGIONS + REGIONS_PER_DEVICE * (config.devices.length + SPARE_DEVICES);
  return {
    vcpus: maxCpus(config),
    queues: queues.reduce((sum, count) => sum + count, SPARE_QUEUES),
    regions: Math.min(regions, MAX_KEYED_REGIONS),
  };
}
