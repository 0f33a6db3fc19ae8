import { type Dimension, elementsOf, formatDimensions, mayEqual, plus, windowsAlong } from '../dimension.ts';
import type { Value } from '../graph.ts';
import { alikeInputs, type AttributesOf, defineOperator, type OperatorCall } from '../operator.ts';

/*
 * Convolutions and poolings: [batch, channels, …space] in and out. `pads` are those before each axis, then those after
 * each; `auto_pad` SAME_UPPER pads so that ⌈size / stride⌉ windows come out, the odd one behind.
 */

const WINDOW = {
  kernel_shape: 'ints',
  strides: 'ints',
  pads: 'ints',
  dilations: 'ints',
  auto_pad: 'string',
} as const;

type WindowCall = OperatorCall<typeof WINDOW>;
type WindowAttributes = AttributesOf<typeof WINDOW>;

interface AxisWindow {
  readonly stride: number;
  readonly extent: number;
  readonly before: number;
  readonly after: number;
}

function checkLength(call: WindowCall, name: string, values: readonly number[] | undefined, length: number): void {
  if (values !== undefined && values.length !== length) call.fail(`needs ${length} numbers as ${name}; it has ${values.length}`);
}

/** The window along each axis of space. */
function axisWindows(call: WindowCall, kernel: readonly Dimension[]): AxisWindow[] {
  const { strides, pads, dilations } = call.attributes;
  const axes = kernel.length;
  checkLength(call, 'strides', strides, axes);
  checkLength(call, 'dilations', dilations, axes);
  checkLength(call, 'pads', pads, 2 * axes);
  return kernel.map((size, axis) => {
    if (typeof size === 'string') return call.fail(`needs a kernel of known size, not ${formatDimensions(kernel)}`);
    return {
      stride: strides?.[axis] ?? 1,
      extent: (size - 1) * (dilations?.[axis] ?? 1) + 1,
      before: pads?.[axis] ?? 0,
      after: pads?.[axes + axis] ?? 0,
    };
  });
}

function isSame({ auto_pad: autoPad }: WindowAttributes): boolean {
  return autoPad === 'SAME_UPPER' || autoPad === 'SAME_LOWER';
}

function windowSizes(call: WindowCall, input: Value, kernel: readonly Dimension[], ceil = false): Dimension[] {
  return axisWindows(call, kernel).map(({ stride, extent, before, after }, axis) => {
    const size = input.shape[axis + 2]!;
    const count = windowsAlong(size, { extent, stride, padding: isSame(call.attributes) ? 'same' : [before, after], ceil });
    if (typeof count === 'number' && count < 1) {
      call.fail(`has a window of ${extent} along an axis of ${size}, padding of ${before + after} included; the input is too small`);
    }
    return count;
  });
}

function checkSpace(call: OperatorCall, input: Value, kernelRank: number): void {
  if (input.shape.length !== kernelRank || kernelRank < 3)
    call.fail(`needs an input of rank ${kernelRank}; "${input.name}" has the shape ${formatDimensions(input.shape)}`);
}

function checkBias(call: OperatorCall, bias: Value | undefined, channels: Dimension): void {
  if (bias !== undefined && (bias.shape.length !== 1 || !mayEqual(bias.shape[0]!, channels)))
    call.fail(`adds a bias of the shape ${formatDimensions(bias.shape)} to ${channels} channels`);
}

/** The channels that come out of `channels` in groups; both must be known. */
function checkGroups(call: OperatorCall, channels: Dimension, perGroup: Dimension, group: number): void {
  if (typeof channels === 'number' && typeof perGroup === 'number' && channels !== perGroup * group)
    call.fail(`takes ${perGroup} channels in each of ${group} groups, so ${perGroup * group} in all; the input has ${channels}`);
}

function pooling(withIndices: boolean, attributes: { readonly count_include_pad?: 'int' }) {
  return defineOperator({
    arity: [1, 1],
    attributes: { ...WINDOW, ceil_mode: 'int', ...attributes },
    optionalOutputs: true,
    infer(call) {
      const input = call.input(0);
      const kernel = call.attributes.kernel_shape ?? call.fail('needs kernel_shape');
      checkSpace(call, input, kernel.length + 2);
      const shape = [...input.shape.slice(0, 2), ...windowSizes(call, input, kernel, call.attributes.ceil_mode === 1)];
      const result = { dtype: input.dtype, shape };
      return withIndices ? [result, { dtype: 'INT64', shape }] : [result];
    },
  });
}

const globalPooling = defineOperator({
  arity: [1, 1],
  attributes: {},
  infer(call) {
    const { dtype, shape } = call.input(0);
    return [{ dtype, shape: shape.map((dimension, axis) => (axis < 2 ? dimension : 1)) }];
  },
});

export const CONVOLUTION = {
  /** Kernel [out channels, in channels / groups, …space]. */
  Conv: defineOperator({
    arity: [2, 3],
    attributes: { ...WINDOW, group: 'int' },
    infer(call) {
      const [input, kernel, bias] = alikeInputs(call) as [Value, Value, Value?];
      checkSpace(call, input, kernel.shape.length);
      const [outChannels, perGroup, ...space] = kernel.shape;
      const { group = 1 } = call.attributes;
      checkGroups(call, input.shape[1]!, perGroup!, group);
      if (typeof outChannels === 'number' && outChannels % group !== 0)
        call.fail(`gives ${outChannels} channels, which are not the same number in each of ${group} groups`);
      checkBias(call, bias, outChannels!);
      return [{ dtype: input.dtype, shape: [input.shape[0]!, outChannels!, ...windowSizes(call, input, space)] }];
    },
  }),

  /** Kernel [in channels, out channels / groups, …space]; the gradient of a Conv by its input. */
  ConvTranspose: defineOperator({
    arity: [2, 3],
    attributes: { ...WINDOW, group: 'int', output_padding: 'ints', output_shape: 'ints' },
    infer(call) {
      const [input, kernel, bias] = alikeInputs(call) as [Value, Value, Value?];
      checkSpace(call, input, kernel.shape.length);
      const [inChannels, perGroup, ...space] = kernel.shape;
      const { group = 1, output_padding: outputPadding, output_shape: outputShape } = call.attributes;
      if (!mayEqual(inChannels!, input.shape[1]!)) call.fail(`takes ${inChannels} channels; the input has ${input.shape[1]}`);
      const channels = typeof perGroup === 'number' ? perGroup * group : perGroup!;
      checkBias(call, bias, channels);
      const sizes = axisWindows(call, space).map(({ stride, extent, before, after }, axis) => {
        const given = outputShape?.[axis];
        if (given !== undefined) return given;
        const size = input.shape[axis + 2]!;
        const spread = elementsOf([stride, size]);
        return isSame(call.attributes) ? spread : plus(spread, extent - stride - before - after + (outputPadding?.[axis] ?? 0));
      });
      return [{ dtype: input.dtype, shape: [input.shape[0]!, channels, ...sizes] }];
    },
  }),

  MaxPool: pooling(true, {}),
  AveragePool: pooling(false, { count_include_pad: 'int' }),
  GlobalMaxPool: globalPooling,
  GlobalAveragePool: globalPooling,
} as const;
