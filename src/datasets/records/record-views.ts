/** One piece of memory, seen as numbers of every kind that records hold. */
export interface RecordViews {
  readonly bytes: Uint8Array;
  readonly doubles: Float64Array;
  readonly floats: Float32Array;
  readonly integers: Int32Array;
}

/** @param length in bytes; there may be room for a few more. */
export function createRecordViews(length: number): RecordViews {
  const memory = new ArrayBuffer(Math.ceil(length / 8) * 8);
  return {
    bytes: new Uint8Array(memory),
    doubles: new Float64Array(memory),
    floats: new Float32Array(memory),
    integers: new Int32Array(memory),
  };
}
