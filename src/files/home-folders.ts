import { userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';

export type Env = Readonly<Record<string, string | undefined>>;

/**
 * A folder of the XDG Base Directory Specification, which says to ignore variables that are not absolute paths: what
 * is relative would be another folder for a manager than for its clients.
 * @param usual its path in the user's home folder
 */
export function xdgFolder(env: Env, variable: string, usual: string): string {
  const given = env[variable];
  return given !== undefined && isAbsolute(given) ? given : join(homeFolder(env), usual);
}

/** Without a usable HOME, that of the user database; `/` for a user that has none. */
function homeFolder({ HOME: home }: Env): string {
  if (home !== undefined && isAbsolute(home)) return home;
  try {
    const { homedir } = userInfo();
    return isAbsolute(homedir) ? homedir : '/';
  } catch {
    return '/';
  }
}
