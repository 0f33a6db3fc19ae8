import { execFile } from 'node:child_process';
import { promisify, stripVTControlCharacters } from 'node:util';
import { expect, it } from 'vitest';

const LOG = new URL('../../../src/observability/log.ts', import.meta.url).href;

/** What a process prints that logs on its standard output; `isTTY` is what its logger is told. */
async function printed(settings: { level: string; format: string }, isTTY: boolean, statements: string): Promise<string> {
  const program = `
    import { createRequire } from 'node:module';
    import { createLogger } from '${LOG}';
    const logger = await createLogger(${JSON.stringify(settings)}, { isTTY: ${isTTY} });
    const loaded = (name) => Object.keys(createRequire('${LOG}').cache).some((path) => path.includes('/node_modules/' + name + '/'));
    ${statements}`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
  return stdout;
}

const SECRETS = `{
  authorization: 'hidden-1',
  headers: { authorization: 'hidden-2', 'proxy-authorization': 'hidden-3', cookie: 'hidden-4', 'x-api-key': 'hidden-5', accept: 'shown-1' },
  req: { method: 'shown-2', headers: { authorization: 'hidden-6', cookie: 'hidden-7' } },
  answer: { headers: { 'set-cookie': 'hidden-8' } },
}`;

it('writes one JSON object a line, with level, time, fields and message, and errors with their stack', async () => {
  const text = await printed(
    { level: 'info', format: 'auto' },
    false,
    `logger.info({ model: 'digits' }, 'first'); logger.error({ err: new TypeError('boom') }, 'second\\nline');`,
  );
  const [first, second, ...more] = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(first).toMatchObject({ level: 30, model: 'digits', msg: 'first', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as string });
  expect(second).toMatchObject({
    level: 50,
    msg: 'second\nline',
    err: { type: 'TypeError', message: 'boom', stack: expect.stringContaining('boom') as string },
  });
  expect(more).toEqual([]);
});

it('leaves out what is below its level', async () => {
  const text = await printed({ level: 'warn', format: 'json' }, false, `logger.info({}, 'quiet'); logger.warn({}, 'loud');`);
  expect(text).toContain('loud');
  expect(text).not.toContain('quiet');
});

it.each(['json', 'pretty'])('hides headers that carry secrets from the %s log', async (format) => {
  const text = await printed({ level: 'info', format }, false, `logger.info(${SECRETS}, 'request');`);
  expect(text).not.toContain('hidden');
  expect(text).toContain('shown-1');
  expect(text).toContain('shown-2');
});

it.each([
  ['auto', true, true],
  ['auto', false, false],
  ['pretty', false, true],
  ['json', true, false],
])('with format %s and a terminal %s it is pretty: %s, and loads pino-pretty only then', async (format, isTTY, pretty) => {
  const text = await printed(
    { level: 'info', format },
    isTTY,
    `logger.info({ loaded: loaded('pino-pretty'), pino: loaded('pino') }, 'message');`,
  );
  expect(text.startsWith('{')).toBe(!pretty);
  const plain = stripVTControlCharacters(text); // colours come between name and value on a terminal
  expect(plain).toMatch(new RegExp(`"?loaded"?: ?${pretty}`));
  expect(plain).toMatch(/"?pino"?: ?true/);
});

it('has written everything when the process ends at once', async () => {
  for (const format of ['json', 'pretty']) {
    const text = await printed(
      { level: 'info', format },
      false,
      `for (let i = 0; i < 500; i += 1) logger.info({}, 'line'); process.exit(0);`,
    );
    expect(text.trimEnd().split('\n')).toHaveLength(500);
  }
});
