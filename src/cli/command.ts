/** Where a command prints. */
export interface Output {
  write(text: string): void;
  /** True when a person reads along: only then colours and lines that are drawn over. */
  readonly isTTY: boolean;
  /** Width in characters; 80 where nobody reads along. */
  readonly columns: number;
}

/** What a command may use of the process that it runs in. */
export interface Terminal {
  /** Results: what a pipe takes on. */
  readonly out: Output;
  /** Progress and problems. */
  readonly err: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted at the first SIGINT (Ctrl-C) or SIGTERM. The second ends the process. */
  readonly interrupted: AbortSignal;
}

/** One of the words after `slipway`. */
export interface Command {
  /** What `slipway NAME --help` prints: a line `Usage: …`, then what each argument means, with its default. */
  readonly usage: string;
  /**
   * @param args what follows the command's name
   * @returns the exit status: 0 when it did what was asked, 1 when not
   * @throws UsageError for arguments that can't be understood (exit status 2); any other error is printed with its code (1)
   */
  run(args: readonly string[], terminal: Terminal): Promise<number>;
}

/** Arguments that can't be understood; the message is one line for the person who typed them. */
export class UsageError extends Error {}
