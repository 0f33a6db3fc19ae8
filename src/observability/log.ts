import { type Logger as PinoLogger, pino } from 'pino';
import type { Config } from '../config/schema.ts';

/** What Slipway's parts need of a logger: fields first, then the message. A pino logger fits. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Headers that carry secrets, as Node spells them. */
const SECRET_HEADERS = ['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'x-api-key'];

/** Where they are hidden: among the fields, in an object there such as `headers`, and in `headers` of one such as `req`. */
const REDACTED = SECRET_HEADERS.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.headers["${name}"]`]);

/**
 * The server's log on standard output: one JSON object a line, or on a terminal lines for people.
 * @param isTTY whether standard output is a terminal; decides when the format is `auto`.
 */
export async function createLogger({ level, format }: Config['logging'], { isTTY }: { readonly isTTY: boolean }): Promise<PinoLogger> {
  const options = { level, redact: REDACTED, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  const pretty = format === 'pretty' || (format === 'auto' && isTTY);
  if (!pretty) return pino(options);
  // Loaded for people only, and in this thread: a worker thread for lines that a person reads is not worth its memory.
  const { default: prettyStream } = await import('pino-pretty');
  return pino(options, prettyStream({ colorize: isTTY, sync: true, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' }));
}
