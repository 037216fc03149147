import { kernelParameters } from '../../kernel-cmdline.ts';
import type { HostRoot } from '../../root.ts';
import { type ParameterRequest, saysAlready } from '../kernel-words.ts';

/** Was the running kernel started so? The only answer where what the boot loader reads cannot be seen. */
export function runningSays(root: HostRoot, request: ParameterRequest): boolean {
  return saysAlready(kernelParameters(root), request);
}
