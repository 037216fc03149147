/**
 * How many colours may be used, as Ink's FORCE_COLOR says it: over SSH the 16 that the user has chosen for the terminal,
 * which a slow line and an old terminal can take. Undefined: what the terminal is found to have.
 */
export function colourDepth(env: NodeJS.ProcessEnv): '1' | undefined {
  if (env.FORCE_COLOR !== undefined) return undefined;
  return env.SSH_CONNECTION || env.SSH_TTY ? '1' : undefined;
}
