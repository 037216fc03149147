/**
 * Measures vring and QEMU side by side on this machine: `npm run bench [-- start|firmware|reset|restart|exits|disk|qcow2|scsi|ide|net|user|nic|balloon|memory|snapshot|upgrade|migrate|ui|watching|screen|passthrough ...]`.
 * Prints a table, and writes the same as JSON to bench/results.json.
 */
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { measureBalloon } from './balloon.ts';
import { measureDiskReads, measureIdeReads, measureScsiReads } from './disk-reads.ts';
import { measureExitCost } from './exit-cost.ts';
import { measureFirmware } from './firmware.ts';
import { measureIdleMemory } from './idle-memory.ts';
import { measureManagerRestart } from './manager-restart.ts';
import type { Measurement } from './measurement.ts';
import { measureMigrate } from './migrate.ts';
import { measureNet } from './net.ts';
import { measureNics } from './nic.ts';
import { measurePassthrough } from './passthrough.ts';
import { measureQcow2 } from './qcow2.ts';
import { formatReport } from './report.ts';
import { measureResetTime } from './reset-time.ts';
import { measureScreen } from './screen.ts';
import { measureSnapshots } from './snapshot.ts';
import { measureStartTime } from './start-time.ts';
import { measureTerminalUi } from './terminal-ui.ts';
import { measureUpgrade } from './upgrade.ts';
import { measureUserNetwork } from './user-network.ts';
import { measureWatching } from './watching.ts';

const suites: Readonly<Record<string, () => Promise<Measurement[]>>> = {
  start: measureStartTime,
  firmware: measureFirmware,
  reset: measureResetTime,
  restart: measureManagerRestart,
  exits: measureExitCost,
  disk: measureDiskReads,
  qcow2: measureQcow2,
  scsi: measureScsiReads,
  ide: measureIdeReads,
  net: measureNet,
  user: measureUserNetwork,
  nic: measureNics,
  balloon: measureBalloon,
  memory: measureIdleMemory,
  snapshot: measureSnapshots,
  upgrade: measureUpgrade,
  migrate: measureMigrate,
  ui: measureTerminalUi,
  watching: measureWatching,
  screen: measureScreen,
  passthrough: measurePassthrough,
};

/** With more runnable threads than this before the start, other programs distort the results. */
const QUIET_LOAD = 0.5;

const asked = process.argv.slice(2);
const unknown = asked.find(name => !(name in suites));
if (unknown !== undefined) {
  console.error(`bench: there is no suite "${unknown}": choose from ${Object.keys(suites).join(', ')}`);
  process.exit(2);
}

const load = loadavg()[0]!;
if (load > QUIET_LOAD) {
  console.error(
    `bench: other programs keep this machine busy (load ${load.toFixed(1)}): results may be distorted`,
  );
}

const measurements: Measurement[] = [];
for (const name of asked.length > 0 ? asked : Object.keys(suites)) {
  console.error(`bench: ${name} ...`);
  try {
    measurements.push(...(await suites[name]!()));
  } catch (error) {
    // Keep the results of the other suites.
    console.error(`bench: ${name} failed: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
console.log(formatReport(measurements));
const host = { cpu: cpus()[0]?.model, cpus: cpus().length, kernel: release(), node: process.version, load };
const results = join(import.meta.dirname, 'results.json');
await writeFile(results, `${JSON.stringify({ host, measurements }, null, 2)}\n`);
console.log(`\nThe same as JSON: ${results}`);
