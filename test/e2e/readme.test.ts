import { execFile, spawnSync } from 'node:child_process';
import { readFile, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { runningServer } from '../helpers/running-server.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Commands need both; a machine may have only Node. */
const hasShell = ['sh', 'curl'].every((tool) => spawnSync(tool, ['-c', ''], { stdio: 'ignore' }).error === undefined);

/** The commands of a page's shell blocks that speak to a server; one that ends with a pipe goes on in the next line. */
function commandsOf(page: string): string[] {
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
  return blocks
    .join('\n')
    .replaceAll(/\|\n\s*/g, '| ')
    .split('\n')
    .filter((command) => command.includes('localhost:8080'));
}

describe.skipIf(!hasShell)('the commands of README.md (need sh and curl)', () => {
  it('work as they stand, one after the other', async () => {
    const { address, models } = await runningServer(['digits']);
    // A folder that looks like a checkout, so that what the commands write is not written into this one.
    const checkout = dirname(models);
    for (const name of ['test', 'examples']) await symlink(join(ROOT, name), join(checkout, name));
    const commands = commandsOf(await readFile(join(ROOT, 'README.md'), 'utf8'));
    const answers: string[] = [];
    for (const command of commands) {
      // As pasted, but for the port, and with an error of the server as a failure.
      const script = `curl() { command curl --fail-with-body "$@"; }\n${command.replaceAll('localhost:8080', new URL(address).host)}`;
      const ran = await promisify(execFile)('sh', ['-c', script], { cwd: checkout }).catch((error: Error & { stdout: string }) => {
        throw new Error(`${command}\n${error.stdout}`, { cause: error });
      });
      answers.push(ran.stdout);
    }
    expect(JSON.parse(answers[0]!)).toMatchObject({ model: 'digits', predictions: [{ label: '7' }] });
    expect(JSON.parse(answers[1]!)).toMatchObject({ model: 'digits', predictions: [{ top: [{}, {}, {}] }] });
    expect(answers.length).toBeGreaterThan(10);
  });
});
