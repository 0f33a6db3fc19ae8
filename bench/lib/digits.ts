import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const DIGITS_ONNX = fileURLToPath(new URL('../../models/digits/1/model.onnx', import.meta.url));

/** A body of about 7 kB: one 28×28 image of grey levels with five decimals, drawn by a fixed rule. */
export function digitsBody(): Buffer {
  const rows = Array.from({ length: 28 }, (_row, y) =>
    Array.from({ length: 28 }, (_pixel, x) => Number((((x * 37 + y * 101) % 256) / 256).toFixed(5))),
  );
  return Buffer.from(JSON.stringify({ model: 'digits', inputs: [[rows]] }));
}
