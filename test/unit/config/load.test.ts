import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError, loadConfig, type LoadedConfig, type LoadOptions } from '../../../src/config/load.ts';
import { type Config, configSchema } from '../../../src/config/schema.ts';
import { SETTINGS } from '../../../src/config/settings.ts';

const FILE = 'slipway.config.json';

interface Sources {
  readonly argv?: readonly string[];
  readonly env?: LoadOptions['env'];
  /** Content of the file, which is named by a flag when it is given. */
  readonly file?: unknown;
}

function load({ argv = [], env = {}, file }: Sources): LoadedConfig {
  return loadConfig({
    argv: file === undefined ? argv : ['--config', FILE, ...argv],
    env,
    readFile: (path) => {
      if (path !== FILE) throw new Error(`no such file: ${path}`);
      return typeof file === 'string' ? file : JSON.stringify(file);
    },
    version: '1.2.3',
  });
}

function configOf(sources: Sources): Config {
  const loaded = load(sources);
  if (loaded.kind !== 'run') throw new Error(`printed ${loaded.text}`);
  return loaded.config;
}

function errorOf(sources: Sources): string {
  try {
    load(sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('it was understood');
}

describe('loadConfig', () => {
  it('has a default for every setting, or says what holds without one', () => {
    expect(configOf({})).toEqual(configSchema.parse({}));
    for (const { name, description, default: value } of SETTINGS) {
      if (value === undefined) expect(description, name).toMatch(/( when it has none of its own|Without it .+)\.$/);
    }
  });

  it('lets the environment win over the file, and flags over both, each setting by itself', () => {
    const file = { host: 'file', models: 'file', state: 'file', limits: { maxJsonDepth: 7 } };
    const env = { SLIPWAY_MODELS: 'environment', SLIPWAY_STATE: 'environment' };
    const config = configOf({ file, env, argv: ['--state', 'flag'] });
    expect(config).toMatchObject({ host: 'file', models: 'environment', state: 'flag', port: 8080, limits: { maxJsonDepth: 7 } });
  });

  it('reads the file that SLIPWAY_CONFIG names, unless a flag names another', () => {
    const options = { readFile: (path: string) => JSON.stringify({ host: path }), version: '', env: { SLIPWAY_CONFIG: 'a.json' } };
    expect(loadConfig({ ...options, argv: [] })).toMatchObject({ config: { host: 'a.json' } });
    expect(loadConfig({ ...options, argv: ['--config=b.json'] })).toMatchObject({ config: { host: 'b.json' } });
  });

  it.each([
    [['--port', '1']],
    [['--port=1']],
    [['--port', '2', '--port', '1']],
    [['--host', 'a=b', '--port=1']],
    [['--no-repository-watch', '--port', '1']],
  ])('understands %j', (argv) => {
    expect(configOf({ argv }).port).toBe(1);
  });

  it('keeps what follows the first = of a flag', () => {
    expect(configOf({ argv: ['--models=a=b=c\nd'] }).models).toBe('a=b=c\nd');
  });

  it.each([
    [['--repository-watch', 'false'], false],
    [['--repository-watch=no'], false],
    [['--no-repository-watch'], false],
    [['--repository-watch', 'true'], true],
    [['--repository-watch'], true],
    [['--repository-watch', '--port', '1'], true],
    [['--no-repository-watch', '--repository-watch'], true],
  ])('reads the switch in %j', (argv, expected) => {
    expect(configOf({ argv, file: { repository: { watch: !expected } } }).repository.watch).toBe(expected);
  });

  it('reads every setting alike from each source', () => {
    const sample = fc.constantFrom(...SETTINGS).chain((setting) => {
      if (setting.kind === 'boolean') return fc.tuple(fc.constant(setting), fc.boolean());
      // A share is of one: its default is a fraction, or its name says so.
      const isShare = setting.name.endsWith('Ratio') || (typeof setting.default === 'number' && !Number.isInteger(setting.default));
      const most = isShare ? 1 : setting.name.endsWith('Level') ? 19 : 65_535;
      if (setting.kind === 'number') return fc.tuple(fc.constant(setting), fc.integer({ min: 1, max: most }));
      // Those of these groups are choices, or have a form; the one without a default takes `cpu`.
      const isChoice = ['logging', 'warmUp', 'clients', 'devices'].includes(setting.path[0]!);
      return fc.tuple(fc.constant(setting), isChoice ? fc.constant(setting.default ?? 'cpu') : fc.string({ minLength: 1 }));
    });
    fc.assert(
      fc.property(sample, ([setting, value]) => {
        const file = setting.path.reduceRight<unknown>((inner, part) => ({ [part]: inner }), value);
        const expected = configOf({ file });
        const at = setting.path.reduce<unknown>((each, part) => (each as Record<string, unknown>)[part], expected);
        expect(at).toEqual(value);
        expect(configOf({ env: { [setting.variable]: String(value) } })).toEqual(expected);
        expect(configOf({ argv: [`${setting.flag}=${String(value)}`] })).toEqual(expected);
      }),
    );
  });

  it.each<[Sources, string]>([
    [{ argv: ['--prot', '1'] }, 'there is no flag --prot; did you mean --port?'],
    [{ argv: ['--limits.maxBodyBytes=1'] }, 'there is no flag --limits.maxBodyBytes; did you mean --limits-max-body-bytes?'],
    [{ argv: ['--no-port'] }, 'there is no flag --no-port; did you mean --port?'],
    [{ argv: ['-p', '1'] }, 'there is no flag -p'],
    [{ argv: ['8080'] }, 'unexpected argument 8080'],
    [{ argv: ['--port'] }, '--port needs a value'],
    [{ argv: ['--host', '--port', '1'] }, '--host needs a value'],
    [{ argv: ['--no-repository-watch=true'] }, '--no-repository-watch takes no value'],
    [{ env: { SLIPWAY_PROT: '1' } }, 'there is no variable SLIPWAY_PROT; did you mean SLIPWAY_PORT?'],
    [{ file: { prot: 1 } }, `${FILE}: there is no setting prot; did you mean port?`],
    [{ file: { limits: { maxBodyByte: 1 } } }, `${FILE}: there is no setting limits.maxBodyByte; did you mean limits.maxBodyBytes?`],
    [{ file: '{"__proto__":{"port":1}}' }, `${FILE}: there is no setting __proto__`],
    [{ file: { limits: 3 } }, `${FILE}: limits must be an object`],
    [{ file: [] }, `${FILE}: the file must be an object`],
    [{ file: '{"port":' }, `${FILE}: `],
    [{ argv: ['--config', 'nowhere.json'] }, 'nowhere.json: no such file'],
    [{ env: { SLIPWAY_CONFIG: '' } }, 'SLIPWAY_CONFIG: must not be empty'],
  ])('refuses %j', (sources, message) => {
    expect(errorOf(sources)).toContain(message);
  });

  it.each<[Sources, string]>([
    [{ argv: ['--port', 'many'] }, '--port: must be a number, not "many"'],
    [{ argv: ['--port', '65536'] }, '--port: must be at most 65535, not 65536'],
    [{ argv: ['--port', '-1'] }, '--port: must be at least 0, not -1'],
    [{ argv: ['--port', '1.5'] }, '--port: must be a whole number, not 1.5'],
    [{ argv: ['--runners-threads=0'] }, '--runners-threads: must be more than 0, not 0'],
    [{ argv: ['--repository-watch', 'maybe'] }, '--repository-watch: must be true or false, not "maybe"'],
    [{ argv: ['--logging-format', 'xml'] }, '--logging-format: must be one of auto, json, pretty, not "xml"'],
    // Node's timers would take it for 1 ms.
    [{ argv: ['--shutdown-drain-ms', '2147483648'] }, '--shutdown-drain-ms: must be at most 2147483647'],
    // An empty variable is a mistake in a deployment; it must mean neither port 0 nor every address.
    [{ env: { SLIPWAY_PORT: '' } }, 'SLIPWAY_PORT: must be a number, not ""'],
    [{ env: { SLIPWAY_HOST: '' } }, 'SLIPWAY_HOST: must not be empty'],
    [{ file: { port: null } }, `${FILE}: port: must be a number, not null`],
    [{ file: { port: '8080' } }, `${FILE}: port: must be a number, not "8080"`],
    [{ file: { repository: { watch: 'yes' } } }, `${FILE}: repository.watch: must be true or false, not "yes"`],
  ])('names the source of a bad value: %j', (sources, message) => {
    expect(errorOf(sources)).toBe(message.endsWith('2147483647') ? `${message}, not 2147483648` : message);
  });

  it('blames the source that won', () => {
    expect(errorOf({ file: { port: 'a' }, env: { SLIPWAY_PORT: 'b' } })).toContain('SLIPWAY_PORT: ');
    expect(configOf({ file: { port: 'a' }, env: { SLIPWAY_PORT: '1' } }).port).toBe(1);
  });

  it('leaves other variables alone, also those of a Kubernetes service that is named like it', () => {
    const env = {
      PORT: '1',
      SLIPWAYS: '1',
      SLIPWAY_PORT: 'tcp://10.0.0.1:80',
      SLIPWAY_SERVICE_HOST: '10.0.0.1',
      SLIPWAY_SERVICE_PORT_HTTP: '80',
      SLIPWAY_PORT_80_TCP_ADDR: '10.0.0.1',
    };
    expect(configOf({ env })).toEqual(configOf({}));
  });

  it('prints the version, and every setting with its default and meaning', () => {
    expect(load({ argv: ['--version'] })).toEqual({ kind: 'print', text: '1.2.3' });
    const help = load({ argv: ['--port', '1', '--help'] });
    if (help.kind !== 'print') throw new Error('it would run');
    const lines = help.text.split('\n');
    for (const { flag, description, default: value } of SETTINGS) {
      const meaning = value === undefined ? description : `${description} Default: ${String(value)}.`;
      expect(lines.find((line) => line.startsWith(`  ${flag} `))).toContain(meaning);
    }
  });
});

describe('SETTINGS', () => {
  it('have a description each, and no spelling twice', () => {
    for (const { name, description } of SETTINGS) expect(description, name).toMatch(/\S.*\.$/);
    for (const spelling of ['name', 'flag', 'variable'] as const) {
      expect(new Set(SETTINGS.map((each) => each[spelling])).size).toBe(SETTINGS.length);
    }
  });

  it('cover each leaf of the schema', () => {
    const leaves = (value: unknown): number =>
      typeof value === 'object' ? Object.values(value!).reduce((sum: number, each) => sum + leaves(each), 0) : 1;
    expect(SETTINGS.filter((setting) => setting.default !== undefined)).toHaveLength(leaves(configSchema.parse({})));
    expect(SETTINGS.find(({ name }) => name === 'limits.maxBodyBytes')).toMatchObject({
      flag: '--limits-max-body-bytes',
      variable: 'SLIPWAY_LIMITS_MAX_BODY_BYTES',
      kind: 'number',
    });
  });

  it('have defaults that the schema itself takes', () => {
    expect(configSchema.parse(configSchema.parse({}))).toEqual(configSchema.parse({}));
  });
});
