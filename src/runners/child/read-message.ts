import { DEVICE_KINDS, ENGINE_NAMES, TFJS_BACKENDS, WISHERS } from '../../engines/engine.ts';
import { MODEL_FORMATS } from '../../packages/formats.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import type { HostMessage } from '../messages.ts';

type Fields = Readonly<Record<string, unknown>>;

const DTYPE_NAMES: ReadonlySet<unknown> = new Set(DTYPES);
const FORMATS: ReadonlySet<unknown> = new Set(MODEL_FORMATS);
const ENGINES: ReadonlySet<unknown> = new Set(ENGINE_NAMES);
const BACKENDS: ReadonlySet<unknown> = new Set(TFJS_BACKENDS);
const DEVICES: ReadonlySet<unknown> = new Set(DEVICE_KINDS);
const WISHED_BY: ReadonlySet<unknown> = new Set(WISHERS);

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isListOf(value: unknown, isElement: (element: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isElement);
}

function isString(value: unknown): boolean {
  return typeof value === 'string';
}

function isTensorHeader(value: unknown): boolean {
  return (
    isFields(value) &&
    isString(value['name']) &&
    DTYPE_NAMES.has(value['dtype']) &&
    isListOf(value['shape'], isCount) &&
    isCount(value['bytes'])
  );
}

function isPlacement(value: unknown): boolean {
  return (
    isFields(value) &&
    isString(value['folder']) &&
    FORMATS.has(value['format']) &&
    (value['engine'] === undefined || ENGINES.has(value['engine'])) &&
    (value['backend'] === undefined || BACKENDS.has(value['backend'])) &&
    (value['device'] === undefined || DEVICES.has(value['device'])) &&
    (value['signature'] === undefined || isString(value['signature'])) &&
    (value['wishedBy'] === undefined || WISHED_BY.has(value['wishedBy'])) &&
    isCount(value['threads'])
  );
}

function isWarmUp(value: unknown): boolean {
  return (
    isFields(value) &&
    ['auto', 'recorded', 'off'].includes(value['mode'] as string) &&
    ['refuse', 'ignore'].includes(value['onFailure'] as string) &&
    isCount(value['maxRequests']) &&
    isString(value['folder'])
  );
}

function isHostMessage(value: unknown): value is HostMessage {
  if (!isFields(value)) return false;
  switch (value['kind']) {
    case 'run':
      return (
        isCount(value['id']) &&
        isListOf(value['outputs'], isString) &&
        isListOf(value['tensors'], isTensorHeader) &&
        (value['signatureName'] === undefined || isString(value['signatureName']))
      );
    case 'load':
      // The placement of another protocol version may look different; the version is compared before it is read.
      return isCount(value['protocol']) && isFields(value['placement']);
    case 'ping':
      return isCount(value['id']);
    case 'stop':
      return true;
    default:
      return false;
  }
}

/** Checks the header of a frame from the host. @throws Error when it is no message of this protocol. */
export function readHostMessage(json: unknown): HostMessage {
  if (!isHostMessage(json)) throw new Error('The host sent a message that is not of the runner protocol.');
  if (
    json.kind === 'load' &&
    !(isPlacement(json.placement) && isWarmUp(json.warmUp) && ['refuse', 'fallback'].includes(json.missingDevice))
  )
    throw new Error('The host sent a placement that is not of the runner protocol.');
  return json;
}
