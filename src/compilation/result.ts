/** What came of compiling a model, as the process that did it says. */
export type CompileResult =
  /** Every output was held to that of tfjs. */
  | { readonly outcome: 'checked'; readonly largestDifference: number }
  /** tfjs cannot run the model, so there was nothing to hold it to. */
  | { readonly outcome: 'unchecked'; readonly reason: string };

/** What the process is asked for. */
export interface CompileRequest {
  /** Absolute path of the version folder. */
  readonly folder: string;
  /** Absolute path of an empty folder for the compiled model. */
  readonly target: string;
  readonly threads: number;
}
