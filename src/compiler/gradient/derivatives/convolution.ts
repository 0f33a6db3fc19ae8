import type { GraphBuilder } from '../../graph/builder.ts';
import type { Value } from '../../graph/graph.ts';
import type { OperatorName } from '../../graph/operators/operators.ts';
import { int64s } from '../../graph/tensors.ts';
import { type Derivative, type DerivativeCall, numberOf } from '../derivative.ts';
import { sumOver } from '../shapes.ts';
import { padsOf, unreached, type Windows, windowsOf } from './windows.ts';

function swapped(graph: GraphBuilder, value: Value): Value {
  return graph.add('Transpose', [value], { perm: [1, 0, ...[...value.shape.keys()].slice(2)] });
}

/** [batch, channels, …] as [channels of a group, groups · batch, …], so that each group meets its own part. */
function byGroup(call: DerivativeCall, value: Value, groups: number): Value {
  const { graph } = call;
  if (groups === 1) return swapped(graph, value);
  const [, channels, ...space] = value.shape;
  if (typeof channels !== 'number' || !space.every((size) => typeof size === 'number'))
    return call.fail(`needs the sizes of its input to be known, not ${value.shape.join(', ')}`);
  const own = channels / groups;
  const apart = graph.add('Reshape', [value, graph.constant(int64s([-1, groups, own, ...space]))]);
  const ordered = graph.add('Transpose', [apart], { perm: [2, 1, 0, ...space.map((_size, axis) => axis + 3)] });
  return graph.add('Reshape', [ordered, graph.constant(int64s([own, -1, ...space]))]);
}

/**
 * The gradient of a kernel: a convolution of the input with the output's gradient, where batch and channels have changed
 * places and strides and dilations as well. @returns [out channels, in channels / groups, …kernel]
 */
function kernelGradient(call: DerivativeCall, input: Value, gradient: Value, windows: Windows): Value {
  const { graph } = call;
  const group = numberOf(call, 'group', 1);
  const full = graph.add('Conv', [byGroup(call, input, group), swapped(graph, gradient)], {
    group,
    strides: windows.dilations,
    dilations: windows.strides,
    pads: padsOf(windows),
  });
  // What no window reached at the end gives further elements.
  const axes = windows.kernel.flatMap((size, axis) => (full.shape[axis + 2] === size ? [] : [axis]));
  const limits = [axes.map(() => 0), axes.map((axis) => windows.kernel[axis]!), axes.map((axis) => axis + 2)];
  const cut = axes.length === 0 ? full : graph.add('Slice', [full, ...limits.map((numbers) => graph.constant(int64s(numbers)))]);
  return swapped(graph, cut);
}

function biasGradient({ graph, gradient }: DerivativeCall): Value {
  const axes = [...gradient.shape.keys()].filter((axis) => axis !== 1);
  return sumOver(graph, gradient, axes, 0);
}

function windowAttributes({ strides, dilations, ...windows }: Windows) {
  return { strides, dilations, pads: padsOf({ strides, dilations, ...windows }) };
}

function convolution(call: DerivativeCall): (Value | undefined)[] {
  const { graph, gradient, input, inputs, wants } = call;
  const [x, kernel] = [input(0), input(1)];
  const windows = windowsOf(call, kernel.shape.slice(2), x);
  const group = numberOf(call, 'group', 1);
  const back = (): Value => {
    const padding = unreached(call, windows, x, gradient);
    return graph.add('ConvTranspose', [gradient, kernel], { ...windowAttributes(windows), group, output_padding: padding });
  };
  return [
    wants(0) ? back() : undefined,
    wants(1) ? kernelGradient(call, x, gradient, windows) : undefined,
    inputs[2] && wants(2) ? biasGradient(call) : undefined,
  ];
}

function transposedConvolution(call: DerivativeCall): (Value | undefined)[] {
  const { graph, gradient, input, inputs, attributes, wants } = call;
  const [x, kernel] = [input(0), input(1)];
  if (attributes['output_shape'] !== undefined || (attributes['auto_pad'] ?? 'NOTSET') !== 'NOTSET')
    return call.fail('is known for padding in numbers only');
  const windows = windowsOf(call, kernel.shape.slice(2), gradient);
  const group = numberOf(call, 'group', 1);
  return [
    graph.add('Conv', [gradient, kernel], { ...windowAttributes(windows), group }),
    wants(1) ? kernelGradient(call, gradient, x, windows) : undefined,
    inputs[2] && wants(2) ? biasGradient(call) : undefined,
  ];
}

export const CONVOLUTION_DERIVATIVES = {
  Conv: convolution,
  ConvTranspose: transposedConvolution,
} as const satisfies Partial<Record<OperatorName, Derivative>>;
