import { nearestName } from '../config/nearest-name.ts';
import { hasCode } from '../errors/has-code.ts';
import { messageOf, SlipwayError } from '../errors/slipway-error.ts';
import { type Command, type Terminal, UsageError } from './command.ts';

/** A command as the table knows it. Its code is loaded when it is asked for: a server that starts needs none of it. */
export interface CommandEntry {
  readonly name: string;
  /** One line for `slipway help`. */
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

const EXIT_DONE = 0;
const EXIT_FAILURE = 1;
/** As command-line tools have it. */
const EXIT_USAGE = 2;

const PARSE_ARGS_CODES = [
  'ERR_PARSE_ARGS_UNKNOWN_OPTION',
  'ERR_PARSE_ARGS_INVALID_OPTION_VALUE',
  'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL',
] as const;

function overview(commands: readonly CommandEntry[]): string {
  const rows = [
    ['serve', 'serve models; also what slipway alone does (slipway --help lists its settings)'],
    ...commands.map(({ name, summary }) => [name, summary]),
  ];
  const width = Math.max(...rows.map(([name]) => name!.length)) + 2;
  return [
    'Usage: slipway [command] [arguments]',
    '',
    ...rows.map(([name, summary]) => `  ${name!.padEnd(width)}${summary}`),
    '',
    'slipway COMMAND --help says what a command takes.',
    '',
  ].join('\n');
}

/** One of ours, or of Node's `parseArgs`. */
function isUsageError(error: unknown): boolean {
  return error instanceof UsageError || (error instanceof TypeError && hasCode(error, ...PARSE_ARGS_CODES));
}

/** Whether the arguments ask for help; what follows `--` never does. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end === -1 ? args : args.slice(0, end)).some((each) => each === '--help' || each === '-h');
}

/**
 * Runs the command that the first argument names.
 * @returns the exit status: 0 done, 1 failed, 2 not understood
 */
export async function runCommand(argv: readonly string[], commands: readonly CommandEntry[], terminal: Terminal): Promise<number> {
  const [name = 'help', ...args] = argv;
  if (name === 'help') {
    terminal.out.write(overview(commands));
    return EXIT_DONE;
  }
  const entry = commands.find((each) => each.name === name);
  if (entry === undefined) {
    const nearest = nearestName(name, ['serve', ...commands.map((each) => each.name)]);
    terminal.err.write(`slipway: there is no command ${name}; did you mean ${nearest}? slipway help lists all.\n`);
    return EXIT_USAGE;
  }
  try {
    const command = await entry.load();
    if (asksForHelp(args)) {
      terminal.out.write(`${command.usage.trimEnd()}\n`);
      return EXIT_DONE;
    }
    return await command.run(args, terminal);
  } catch (error) {
    const code = error instanceof SlipwayError ? `${error.code}: ` : '';
    terminal.err.write(`slipway ${name}: ${code}${messageOf(error)}\n`);
    if (!isUsageError(error)) return EXIT_FAILURE;
    terminal.err.write(`slipway ${name} --help says what it takes.\n`);
    return EXIT_USAGE;
  }
}
