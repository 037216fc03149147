/** Characters that no POSIX shell interprets, wherever they are in a word. */
const PLAIN = /^[\w./:=,@%+-]+$/;

/** A command as the user can paste it into a POSIX shell: words with other characters are quoted. */
export function shellText(argv: readonly string[]): string {
  return argv.map(word => (PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ');
}

/** The systemctl command for a unit of systemd, whose escaped names have backslashes: `systemctl --user start vring`. */
export function systemctlText({ name, user }: { name: string; user: boolean }, verb: string): string {
  return shellText(['systemctl', ...(user ? ['--user'] : []), verb, name]);
}
