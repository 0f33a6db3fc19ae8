/**
 * The shape of the image that an array of bytes looks like, `[height, width, channels]`: two dimensions are grey levels,
 * a third of 1 or 3 are channels. Undefined for all others.
 */
export function imageShapeOf(shape: readonly number[]): readonly number[] | undefined {
  if (shape.length === 2) return [...shape, 1];
  return shape.length === 3 && (shape[2] === 1 || shape[2] === 3) ? shape : undefined;
}
