import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const TARGET = 'x86_64-unknown-linux-gnu';
const LICENSE_FILE = /^(licen[cs]e|copying|notice|copyright)/i;

/**
 * The licenses of all third-party code in dist/.
 * @param inputs the source files of the bundles, from the project's folder
 */
export function thirdPartyLicenses(inputs) {
  const packages = [...new Set(inputs.map(packageFolder).filter(folder => folder !== null))];
  const npm = [...packages, 'node_modules/koffi'].sort().map(folder => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    return section(`${name} ${version}`, license, join(root, folder));
  });
  const crates = linkedCrates().map(({ name, version, license, manifest_path }) =>
    section(`${name} ${version} (Rust)`, license, dirname(manifest_path)),
  );
  const rust =
    "The Rust standard library\nLicense: MIT OR Apache-2.0\n\nSee vring's own LICENSE for the Apache License 2.0.";
  return `${[...npm, ...crates, rust].join(`\n\n${'='.repeat(80)}\n\n`)}\n`;
}

/** `node_modules/a/node_modules/@b/c` of a file in it; null for the project's own files. */
function packageFolder(path) {
  return path.match(/^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//)?.[1] ?? null;
}

function section(title, license, folder) {
  const files = readdirSync(folder).filter(name => LICENSE_FILE.test(name));
  const texts = files.map(name => readFileSync(join(folder, name), 'utf8').trim());
  return [`${title}\nLicense: ${license}`, ...texts].join('\n\n');
}

/** The crates linked into the native library, from cargo metadata. */
function linkedCrates() {
  const args = ['metadata', '--locked', '--format-version=1', `--filter-platform=${TARGET}`];
  const options = { cwd: join(root, 'native'), encoding: 'utf8', maxBuffer: 64 << 20 };
  const { packages, resolve } = JSON.parse(execFileSync('cargo', args, options));
  const linked = new Set();
  const visit = id => {
    if (linked.has(id)) return;
    linked.add(id);
    for (const { pkg, dep_kinds } of resolve.nodes.find(node => node.id === id).deps)
      if (dep_kinds.some(({ kind }) => kind === null)) visit(pkg);
  };
  visit(resolve.root);
  return packages
    .filter(({ id, source, manifest_path }) => linked.has(id) && source !== null && existsSync(manifest_path))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
