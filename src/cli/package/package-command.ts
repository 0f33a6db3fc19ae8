import { type Command, UsageError } from '../command.ts';
import { DEFAULT_SERVER } from '../server-arguments.ts';
import { keygen } from './keygen.ts';
import { sign } from './sign.ts';
import { exportPackage, importPackage } from './transfer.ts';
import { verify } from './verify.ts';

/** The words after `slipway package`. */
const VERBS = { keygen, sign, verify, import: importPackage, export: exportPackage };

export const packageCommand: Command = {
  usage: `Usage: slipway package keygen FILE
       slipway package sign PATH --key FILE [--out FILE]
       slipway package verify [--trust FILE] PATH…
       slipway package import PATH --model NAME [--version N] [--server URL]
       slipway package export NAME[/VERSION] [--format FORMAT] [--out FILE] [--server URL]

A PATH is a .slip, .slip.zst, .tar.gz, .tar.zst, .tar or .zip, or a version folder such as models/digits/1.

keygen FILE   Make a pair of Ed25519 keys: the private one in FILE, the public one in FILE.pub. Keys that are there are
              never overwritten.
sign PATH     Sign the files of a package. The signature is a file among them, slipway.signature.json, and covers all
              others. A .slip, .slip.zst or a folder is signed in place; of another archive a .slip is made beside it.
  --key FILE  The private key (PEM).
  --out FILE  Write a .slip there instead, compressed with Zstandard when the name ends in .zst.
verify PATH…  Read packages as the server does before it loads them: every stated SHA-256 and the signature are checked.
              Prints the files and who has signed them; exits with 1 when one of the packages is refused.
  --trust FILE  The public keys (PEM) of which one must have signed. Without it a package need not be signed.
import PATH   Upload a package, a version folder, an .onnx or a .keras file to a server. Only what loads is published.
  --model NAME  The model that it is a version of.
  --version N   Its number; the next free one when left out.
export NAME   Download a version from a server, by default the one that answers.
  --format      slip (default), slip.zst (the same, compressed), tar (a .tar.gz), onnx (a .tar.gz in which a layers model is
                compiled to ONNX), or safetensors (a .tar.gz with the weights of a TF.js layers model as model.safetensors).
  --out FILE    Where to; NAME-VERSION.slip in this folder when left out.

Of import and export: --server URL, by default ${DEFAULT_SERVER}; --header NAME:VALUE, sent with each request, may be given
several times.
`,
  async run([verb = '', ...args], terminal) {
    if (!Object.hasOwn(VERBS, verb)) throw new UsageError(verb === '' ? 'say what to do' : `there is no ${verb}`);
    return VERBS[verb as keyof typeof VERBS](args, terminal);
  },
};
