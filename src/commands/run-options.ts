import type { DiskOption } from './values.ts';

/** The options of `vring run`. */
export type RunOptions = {
  readonly firmware?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly disk?: readonly DiskOption[];
  readonly cpus: number;
  readonly memory: number;
  readonly hugepages?: '2M' | '1G';
  readonly cpuFeatures?: { remove: string[] };
  readonly kvm?: 'on' | 'off';
  readonly name?: string;
  readonly rng: boolean;
  readonly deviceModule?: readonly string[];
  readonly confine: 'default' | 'strict' | 'off';
  readonly ui?: boolean;
  readonly detach?: boolean;
  readonly foreground?: boolean;
};
