import { SETTINGS } from './settings.ts';

/** What `--help` prints: every setting with its default and meaning. */
export function helpText(): string {
  const rows: [flag: string, text: string][] = [
    ['--config', 'JSON file of settings.'],
    ['--help', 'Print this.'],
    ['--version', 'Print the version.'],
    ...SETTINGS.map((each): [string, string] => [
      each.flag,
      each.default === undefined ? each.description : `${each.description} Default: ${String(each.default)}.`,
    ]),
  ];
  const width = Math.max(...rows.map(([flag]) => flag.length)) + 2;
  return [
    'Usage: slipway [serve] [--setting value | --setting=value | --switch | --no-switch …]',
    '',
    'Starts the server. slipway help lists the other commands.',
    '',
    'Settings come from a file (--config or SLIPWAY_CONFIG), then the environment, then flags; the later one holds.',
    'A flag --limits-max-body-bytes is SLIPWAY_LIMITS_MAX_BODY_BYTES in the environment',
    'and {"limits":{"maxBodyBytes":…}} in the file.',
    '',
    ...rows.map(([flag, text]) => `  ${flag.padEnd(width)}${text}`),
  ].join('\n');
}
