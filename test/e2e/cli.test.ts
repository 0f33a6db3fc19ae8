import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { slipway } from '../helpers/cli.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

describe('slipway as a command', () => {
  it('lists its commands and says what each takes', async () => {
    const help = await slipway(['help']);
    expect(help.status).toBe(0);
    expect(help.out).toMatch(/^ {2}serve .*\n(.*\n)* {2}package /m);
    expect(await slipway(['package', '--help'])).toMatchObject({
      status: 0,
      out: expect.stringMatching(/^Usage: slipway package/) as string,
    });
    expect((await slipway(['serve', '--help'])).out).toContain('--grpc-port');
  });

  it('exits with 2 and the nearest name for a command that there is not, and for arguments it does not know', async () => {
    expect(await slipway(['packge'])).toEqual({
      status: 2,
      out: '',
      err: 'slipway: there is no command packge; did you mean package? slipway help lists all.\n',
    });
    for (const args of [[], ['seal'], ['verify'], ['verify', '--fast']]) {
      const { status, out, err } = await slipway(['package', ...args]);
      expect({ args, status, out }).toEqual({ args, status: 2, out: '' });
      expect(err).toMatch(/^slipway package: .*\nslipway package --help says what it takes\.\n$/);
    }
  });
});

describe('slipway package verify', () => {
  it('prints the files of packages that can be served, and exits with 1 when one is refused', async () => {
    const folder = await temporaryFolder();
    const good = join(folder, 'good');
    const changed = join(folder, 'changed');
    for (const each of [good, changed]) await cp('models/digits/1', each, { recursive: true });
    expect(await slipway(['package', 'verify', good])).toMatchObject({
      status: 0,
      err: '',
      out: expect.stringContaining('model.onnx') as string,
    });
    await writeFile(join(changed, 'model.onnx'), 'x', { flag: 'a' });
    const { status, out, err } = await slipway(['package', 'verify', changed, good, join(folder, 'none')]);
    expect(status).toBe(1);
    expect(out).toContain(`${good}: onnx`);
    expect(err).toMatch(/changed: DIGEST_MISMATCH: model\.onnx has the SHA-256 [^\n]*\n.*none: ENOENT/s);
  });
});
