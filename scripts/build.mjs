// Builds what vring needs to run into dist/: the native library, the embedded guest and the bundles. npm runs it in a
// checkout (`prepare`), but not when installing a packed vring. Plain JavaScript, because it runs before anything has
// been built.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.mjs';
import { replaceFile } from './replace-file.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const RUST_AT_LEAST = [1, 85];
const PROGRESS_MS = 10_000;

const PARTS = {
  native: { what: 'the native library and program', hint: 'a minute the first time', build: buildNative },
  guest: { what: 'the embedded guest', hint: null, build: buildGuest },
  bundle: { what: 'the program', hint: null, build: bundle },
};

/** What each tool is for, and how to install it. Debian 12's own cargo is too old. */
const TOOLS = {
  cargo: `builds the native library (Rust ${RUST_AT_LEAST.join('.')} or newer): https://rustup.rs`,
  gcc: 'links the native library and builds the embedded guest: apt-get install gcc libc6-dev, or dnf install gcc',
  make: 'builds the embedded guest: apt-get install make, or dnf install make',
};

/** Problems with this machine's tools, one line each. */
function toolProblems() {
  return Object.entries(TOOLS).flatMap(([tool, purpose]) => {
    const version = versionOf(tool);
    if (version === null) return [`${tool} is missing; it ${purpose}`];
    if (tool !== 'cargo') return [];
    const [major, minor] = version.match(/\d+/g)?.map(Number) ?? [0, 0];
    const recent = major > RUST_AT_LEAST[0] || (major === RUST_AT_LEAST[0] && minor >= RUST_AT_LEAST[1]);
    return recent ? [] : [`${version.split('\n')[0]} is too old; it ${purpose}`];
  });
}

/** `npm ci --omit=dev` omits the build tools. */
function packageProblems() {
  if (existsSync(join(root, 'node_modules/esbuild'))) return [];
  return ["npm's development packages are missing; they are needed to build: npm ci --include=dev"];
}

function versionOf(tool) {
  try {
    return execFileSync(tool, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return null;
  }
}

function fail(...lines) {
  for (const line of lines) console.error(`vring: ${line}`);
  process.exit(1);
}

/** Runs a build command and shows its progress; prints its output only if it fails. */
async function run(command, args) {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', text => {
      said += text;
    });
  }
  const started = Date.now();
  const progress = setInterval(() => {
    const last = said.trimEnd().split('\n').at(-1).trim();
    console.log(`vring: ... ${seconds(started)}${last === '' ? '' : `: ${last}`}`);
  }, PROGRESS_MS);
  try {
    const [status, signal] = await once(child, 'close');
    if (status === 0) return;
    throw new Error(
      said.trim() === ''
        ? `it ended with ${signal ?? `exit status ${status}`}`
        : `it printed\n${said.trimEnd()}`,
    );
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')}: ${error.message}`);
  } finally {
    clearInterval(progress);
  }
}

function seconds(since) {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

async function buildNative() {
  await run('cargo', ['build', '--release', '--locked', '--manifest-path', 'native/Cargo.toml']);
  for (const name of ['libvring_native.so', 'vring-net-user'])
    replaceFile(join(root, 'native/target/release', name), join(dist, name));
}

function buildGuest() {
  return run('make', ['-C', 'guest', `OUT=${join(dist, 'guest.elf')}`]);
}

const names = Object.keys(PARTS);
const requested = process.argv.slice(2);
const unknown = requested.find(part => !names.includes(part));
if (unknown !== undefined) {
  console.error(`vring: no part "${unknown}"; the parts are: ${names.join(', ')}`);
  process.exit(2);
}
const selected = requested.length === 0 ? names : names.filter(name => requested.includes(name));

const problems = [
  ...(selected.some(name => name !== 'bundle') ? toolProblems() : []),
  ...(selected.includes('bundle') ? packageProblems() : []),
];
if (problems.length > 0) fail(...problems, 'nothing was built; install these, then run npm ci again');
mkdirSync(dist, { recursive: true });
for (const name of selected) {
  const { what, hint, build } = PARTS[name];
  const started = Date.now();
  console.log(`vring: building ${what}${hint === null ? '' : ` (${hint})`} ...`);
  try {
    await build();
  } catch (error) {
    fail(`cannot build ${what}: ${error.message}`);
  }
  console.log(`vring: built ${what} in ${seconds(started)}`);
}
