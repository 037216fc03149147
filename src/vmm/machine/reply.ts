/** The reply to a command, which may be given at any later time, once. One that the machine's end leaves open is given then. */
export type Reply<Result> = {
  /** It has been carried out. */
  done(result: Result): void;
  /** It has not. @param reason for the user */
  failed(reason: string): void;
};
