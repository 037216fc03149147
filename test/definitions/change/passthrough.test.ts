import { describe, expect, test } from 'vitest';
import { withPassthrough } from '../../../src/definitions/change/passthrough.ts';
import { hasYaml11, readYaml11 } from '../../support/yaml-1.1.ts';

const TEXT = `# The shop.
name: web
machine: {kernel: /boot/vmlinuz} # built by hand
`;
const VF = { host: '0000:02:10.0', id: '8086:1520' };
const add = (text: string, ...entries: Parameters<typeof withPassthrough>[3]) =>
  withPassthrough(text, 'web.yaml', 'web', entries);

describe('a definition gets devices', () => {
  test('and keeps its comments', () => {
    expect(add(TEXT, VF)).toBe(`${TEXT}passthrough:
  - host: "0000:02:10.0"
    id: 8086:1520
`);
  });

  test('after its existing ones, in their style', () => {
    const text = `${TEXT}passthrough:\n  - host: 01:00.0 # the GPU\n`;
    expect(add(text, VF)).toBe(`${text}  - host: "0000:02:10.0"\n    id: 8086:1520\n`);
  });

  test('in an empty list, too', () => {
    expect(add(`${TEXT}passthrough: []\n`, VF)).toContain('host: "0000:02:10.0"');
  });

  test('and keeps what its own entry for one says', () => {
    const text = `${TEXT}passthrough:\n  - host: 02:10.0 # uplink\n    addr: "05.0"\n`;
    const changed = add(text, VF);
    expect(changed).toBe(`${text}    id: 8086:1520\n`);
    expect(add(changed, VF)).toBe(changed);
  });

  test('unless it is invalid', () => {
    expect(() => add('name: web\ncolor: red\n', VF)).toThrow('web.yaml:2');
  });

  test.runIf(hasYaml11)('that a YAML 1.1 parser does not read as numbers', () => {
    expect(readYaml11(add(TEXT, VF))).toMatchObject({ passthrough: [VF] });
  });
});
