import type { Command } from 'commander';
import { printData, printLines } from '../text/output.ts';

/** `vring devices`: the device models, from their registry. */
export function registerDevices(program: Command): void {
  program
    .command('devices')
    .description('List the device models')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) => {
      const { deviceTable } = await import('../devices/registry.ts');
      const devices = deviceTable.rows.map(({ type, title, description, builtin }) => ({
        type,
        title,
        description,
        builtin: builtin === true,
      }));
      if (options.json) {
        printData(devices);
        return;
      }
      const width = Math.max(...devices.map(device => device.type.length));
      for (const device of devices) {
        const always = device.builtin ? ' (in every machine)' : '';
        printLines(`${device.type.padEnd(width)}  ${device.title}: ${device.description}${always}`);
      }
    });
}
