import { spawnSync } from 'node:child_process';

/** The parser that cloud-init uses for its seeds: Debian's python3-yaml, with the system's Python. */
const PYTHON = '/usr/bin/python3';

/** Whether it is installed (scripts/install-deps.sh installs it). */
export const hasYaml11 = spawnSync(PYTHON, ['-c', 'import yaml']).status === 0;

/** What PyYAML parses from a text, which it must accept. */
export function readYaml11(text: string): unknown {
  const script = 'import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin.buffer.read())))';
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', script], { input: text, encoding: 'utf8' });
  if (status !== 0) throw new Error(`PyYAML: ${stderr.trim().split('\n').slice(-3).join(' ')}`);
  return JSON.parse(stdout);
}
