import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const DIGITS_ONNX = fileURLToPath(new URL('../../models/digits/1/model.onnx', import.meta.url));

/** One 28×28 image of grey levels with five decimals, drawn by a fixed rule. */
export function digitsImage(): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: 28 * 28 }, (_pixel, at) => grey(at % 28, Math.floor(at / 28)));
}

function grey(x: number, y: number): number {
  return Number((((x * 37 + y * 101) % 256) / 256).toFixed(5));
}

/** The same image as the body of a predict request, about 7 kB. */
export function digitsBody(): Buffer {
  const rows = Array.from({ length: 28 }, (_row, y) => Array.from({ length: 28 }, (_pixel, x) => grey(x, y)));
  return Buffer.from(JSON.stringify({ model: 'digits', inputs: [[rows]] }));
}
