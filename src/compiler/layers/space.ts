import { floats, int64s } from '../graph/tensors.ts';
import type { LayerCall, LowerLayer } from '../lowering/layer-call.ts';
import { imageOrder, spaceAxis } from './convolution.ts';

/** The end of an axis, whatever its size. */
const END = 2 ** 31 - 1;

/** Numbers before and after along each axis of space, from one number, one for each axis, or a pair for each. */
function pairs(call: LayerCall, key: string, space: number, fallback: number): readonly (readonly [number, number])[] {
  const value = call.config.fields[key] ?? fallback;
  if (typeof value === 'number') return Array.from({ length: space }, () => [value, value] as const);
  const list: readonly unknown[] = Array.isArray(value) ? value : [];
  if (space === 1 && list.length === 2 && list.every((each) => typeof each === 'number')) return [list as unknown as [number, number]];
  if (list.length !== space) return call.fail(`"${key}" must be a number, or one or a pair for each of ${space} axes`);
  return list.map((each) => (Array.isArray(each) ? (each as unknown as [number, number]) : [each as number, each as number]));
}

function axesOf(call: LayerCall, space: number): number[] {
  return Array.from({ length: space }, (_axis, axis) => spaceAxis(call, axis));
}

const zeroPadding =
  (space: number): LowerLayer =>
  (call) => {
    const { graph, input } = call;
    const padding = pairs(call, 'padding', space, 1);
    const pads = [...padding.map(([before]) => before), ...padding.map(([, after]) => after)];
    const inputs = [graph.constant(int64s(pads)), undefined, graph.constant(int64s(axesOf(call, space)))];
    return { ...input, value: graph.add('Pad', [input.value, ...inputs]), mask: undefined };
  };

const cropping =
  (space: number): LowerLayer =>
  (call) => {
    const { graph, input } = call;
    const crops = pairs(call, 'cropping', space, 0);
    const starts = int64s(crops.map(([before]) => before));
    const ends = int64s(crops.map(([, after]) => (after === 0 ? END : -after)));
    const value = graph.add('Slice', [input.value, ...[starts, ends, int64s(axesOf(call, space))].map((each) => graph.constant(each))]);
    return { ...input, value, mask: undefined };
  };

/** Positions are taken from the corner of an image, as tfjs does by default (`alignCorners` and `halfPixelCenters` false). */
const upSampling =
  (space: number): LowerLayer =>
  (call) => {
    const { graph, config } = call;
    const order = imageOrder(call);
    const interpolation = config.text('interpolation', 'nearest').toLowerCase();
    if (interpolation !== 'nearest' && interpolation !== 'bilinear')
      call.fail(`the interpolation "${interpolation}" cannot be compiled; use "nearest" or "bilinear"`);
    const scales = floats([space + 2], [1, 1, ...config.numbers('size', space, 2)]);
    const value = graph.add('Resize', [call.arrange.ordered(call.input, order), undefined, graph.constant(scales)], {
      coordinate_transformation_mode: 'asymmetric',
      ...(interpolation === 'nearest' ? { mode: 'nearest', nearest_mode: 'floor' } : { mode: 'linear' }),
    });
    return { value, order };
  };

/** Layers that change the size of images and sequences. */
export const SPACE_LAYERS: Readonly<Record<string, LowerLayer>> = {
  ZeroPadding1D: zeroPadding(1),
  ZeroPadding2D: zeroPadding(2),
  ZeroPadding3D: zeroPadding(3),
  Cropping1D: cropping(1),
  Cropping2D: cropping(2),
  Cropping3D: cropping(3),
  UpSampling1D: upSampling(1),
  UpSampling2D: upSampling(2),
  UpSampling3D: upSampling(3),
};
