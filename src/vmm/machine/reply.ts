/**
 * The reply to a command, given once, at any later time. If it is still open when the machine ends, it is given then.
 */
export type Reply<Result> = {
  /** The command has been carried out. */
  done(result: Result): void;
  /** It has not. @param reason for the user */
  failed(reason: string): void;
};
