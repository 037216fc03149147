import * as z from 'zod';

/** One line for people: nothing in it can move the cursor. */
export const line = (most: number) =>
  z
    .string()
    .max(most, `at most ${most} characters`)
    .regex(/^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$/, 'one line without control characters');

const PATH = 'an absolute path, such as /var/lib/vring/disk.img';

/**
 * A host file. The process that opens it may run in another folder than the one where the definition was written, so a
 * relative path could mean another file there.
 */
export const hostPath = z
  .string(PATH)
  .max(4095, 'at most 4095 characters')
  .regex(/^\/[^\u0000-\u001f\u007f]*$/, PATH);
