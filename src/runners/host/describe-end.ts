const SHOWN_LINES = 5;
const SHOWN_CHARS = 1_000;

/** Lines by which Node, V8 and C++ name the cause before they print a long backtrace. */
const CAUSE = /FATAL ERROR|terminate called|Assertion|out of memory|Error:/i;

/** How a process ended, in words that go after "the process": `was ended by SIGSEGV`. */
export function describeEnd(exitCode: number | null, signal: NodeJS.Signals | null): string {
  // Nobody else sends SIGKILL to a child of the server unasked, except the kernel or an operator.
  if (signal === 'SIGKILL') return 'was killed by SIGKILL, most likely because the system ran out of memory';
  if (signal !== null) return `was ended by ${signal}`;
  return `ended by itself with exit code ${exitCode}`;
}

/** The printed lines that tell most: the one that names the cause, if it is not among the last ones, and the last ones. */
function tellingLines(lastLines: readonly string[]): string {
  const shown = lastLines.slice(-SHOWN_LINES);
  const cause = lastLines.find((line) => CAUSE.test(line));
  if (cause !== undefined && !shown.includes(cause)) shown.unshift(cause);
  return shown.join(' | ').slice(0, SHOWN_CHARS);
}

/**
 * What is known of the cause, for the log and the model's status: ` (…)`, or empty.
 * @param fatal what the runner itself reported before its end.
 */
export function describeCause(fatal: string | undefined, lastLines: readonly string[]): string {
  if (fatal !== undefined) return ` (${fatal})`;
  return lastLines.length === 0 ? '' : ` (it last printed: ${tellingLines(lastLines)})`;
}
