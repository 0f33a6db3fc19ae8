import { PIXELS, SIDE } from './dataset.ts';

/** How far a training image is changed at the most, anew at each epoch. */
export interface Augmentation {
  /** Pixels along each axis. */
  readonly maxShift: number;
  /** Degrees to either side. */
  readonly maxRotation: number;
  /** Share of the size, larger or smaller. */
  readonly maxZoom: number;
}

/**
 * Writes an image, turned, zoomed and moved about its centre, as values 0–1. Each target pixel is interpolated
 * linearly between the four source pixels around the place that it comes from; beyond the edge it is black.
 */
export function augment(
  source: Uint8Array,
  target: Float32Array,
  { maxShift, maxRotation, maxZoom }: Augmentation,
  random: () => number,
): void {
  const within = (most: number): number => (2 * random() - 1) * most;
  const angle = (within(maxRotation) * Math.PI) / 180;
  const zoom = 1 + within(maxZoom);
  const cos = Math.cos(angle) / zoom;
  const sin = Math.sin(angle) / zoom;
  const centre = (SIDE - 1) / 2;
  const shiftX = within(maxShift);
  const shiftY = within(maxShift);
  const at = (x: number, y: number): number => (x >= 0 && x < SIDE && y >= 0 && y < SIDE ? source[y * SIDE + x]! : 0);
  for (let index = 0; index < PIXELS; index += 1) {
    const x = (index % SIDE) - centre - shiftX;
    const y = Math.floor(index / SIDE) - centre - shiftY;
    const fromX = cos * x + sin * y + centre;
    const fromY = cos * y - sin * x + centre;
    const left = Math.floor(fromX);
    const top = Math.floor(fromY);
    const right = fromX - left;
    const down = fromY - top;
    const upper = at(left, top) * (1 - right) + at(left + 1, top) * right;
    const lower = at(left, top + 1) * (1 - right) + at(left + 1, top + 1) * right;
    target[index] = (upper * (1 - down) + lower * down) / 255;
  }
}
