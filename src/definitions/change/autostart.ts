import type { Engine } from '../../engine/engine.ts';
import { readDefinition } from '../read.ts';
import { changeKeys } from './change-text.ts';

/**
 * Sets whether a VM starts with `vring serve`. @returns whether that is a change
 * @throws if the VM has no definition, or an invalid one
 */
export async function setAutostart(
  engine: Pick<Engine, 'definition' | 'define'>,
  name: string,
  on: boolean,
): Promise<boolean> {
  const text = await engine.definition(name);
  const file = `${name}.yaml`;
  if (readDefinition(text, { file, name }).autostart === on) return false;
  await engine.define(name, changeKeys(text, file, [{ path: ['autostart'], value: on }]), { replace: true });
  return true;
}
