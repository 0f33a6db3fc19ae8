import { SlipwayError } from '../../errors/slipway-error.ts';

export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A file that is damaged, or not what Keras writes. */
export function damaged(problem: string): SlipwayError {
  return new SlipwayError('INVALID_MODEL', `The Keras model cannot be read: ${problem}.`);
}

/** Something of Keras that no engine here has. */
export function unsupported(problem: string): SlipwayError {
  return new SlipwayError('ENGINE_UNAVAILABLE', `The Keras model cannot be run: ${problem}.`);
}

/** An object as Keras 3 serializes it: `{module, class_name, config, registered_name}`. */
export interface KerasObject {
  readonly className: string;
  readonly config: Fields;
}

/**
 * Reads an object that is one of Keras' own.
 * @param where what it is, for messages, e.g. `the layer "dense"`
 * @throws SlipwayError ENGINE_UNAVAILABLE for one whose class somebody else has written, INVALID_MODEL for what is none
 */
export function kerasObject(value: unknown, where: string): KerasObject {
  const { class_name: className, config, module, registered_name: registered } = isFields(value) ? value : {};
  if (typeof className !== 'string') throw damaged(`${where} names no class`);
  const isOwn = typeof module !== 'string' || module === 'keras' || module.startsWith('keras.');
  if (!isOwn || (typeof registered === 'string' && registered.includes('>'))) {
    throw unsupported(
      `${where} is of the class ${typeof registered === 'string' ? registered : className}, which is Python code and none of Keras' own; a package is never executed. Replace it by layers of Keras, or export the model as ONNX or as a SavedModel`,
    );
  }
  return { className, config: isFields(config) ? config : {} };
}
