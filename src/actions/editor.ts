import { spawn } from 'node:child_process';

/**
 * Lets the user edit a file on the terminal, in $VISUAL or $EDITOR.
 * @returns what went wrong with the editor itself, in a sentence; null if it exited with 0
 */
export async function runEditor(file: string, env: NodeJS.ProcessEnv = process.env): Promise<string | null> {
  const editor = env.VISUAL || env.EDITOR || 'vi';
  // The variables may contain a command with arguments, so a shell parses them; the file's name is passed as an
  // argument.
  const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], { stdio: 'inherit', env });
  return new Promise(resolve => {
    child.on('error', error => resolve(`the editor cannot be started: ${error.message}`));
    child.on('exit', (status, signal) => {
      if (status === 127) resolve(`there is no editor "${editor}": set VISUAL or EDITOR to one`);
      else if (signal !== null) resolve(`the editor "${editor}" was ended by ${signal}`);
      else resolve(status === 0 ? null : `the editor "${editor}" ended with status ${status}`);
    });
  });
}
