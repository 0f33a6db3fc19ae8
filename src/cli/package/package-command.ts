import { type Command, UsageError } from '../command.ts';
import { keygen } from './keygen.ts';
import { sign } from './sign.ts';
import { verify } from './verify.ts';

/** The words after `slipway package`. */
const VERBS = { keygen, sign, verify };

export const packageCommand: Command = {
  usage: `Usage: slipway package keygen FILE
       slipway package sign PATH --key FILE [--out FILE]
       slipway package verify [--trust FILE] PATH…

A PATH is a .slip, .tar.gz, .tar or .zip, or a version folder such as models/digits/1.

keygen FILE   Make a pair of Ed25519 keys: the private one in FILE, the public one in FILE.pub. Keys that are there are
              never overwritten.
sign PATH     Sign the files of a package. The signature is a file among them, slipway.signature.json, and covers all
              others. A .slip or a folder is signed in place; of another archive a .slip is made beside it.
  --key FILE  The private key (PEM).
  --out FILE  Write a .slip there instead.
verify PATH…  Read packages as the server does before it loads them: every stated SHA-256 and the signature are checked.
              Prints the files and who has signed them; exits with 1 when one of the packages is refused.
  --trust FILE  The public keys (PEM) of which one must have signed. Without it a package need not be signed.
`,
  async run([verb = '', ...args], terminal) {
    if (!Object.hasOwn(VERBS, verb)) throw new UsageError(verb === '' ? 'say what to do' : `there is no ${verb}`);
    return VERBS[verb as keyof typeof VERBS](args, terminal);
  },
};
