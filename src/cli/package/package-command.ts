import { type Command, UsageError } from '../command.ts';
import { verify } from './verify.ts';

/** The words after `slipway package`. */
const VERBS = { verify };

export const packageCommand: Command = {
  usage: `Usage: slipway package verify PATH…

verify PATH…  Read packages as the server does before it loads them: .slip, .tar.gz, .zip, or a version folder. Every
              stated SHA-256 is checked. Prints the files; exits with 1 when one of the packages is refused.
`,
  async run([verb = '', ...args], terminal) {
    if (!Object.hasOwn(VERBS, verb)) throw new UsageError(verb === '' ? 'say what to do' : `there is no ${verb}`);
    return VERBS[verb as keyof typeof VERBS](args, terminal);
  },
};
