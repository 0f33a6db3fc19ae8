import * as tfl from '@tensorflow/tfjs-layers';
import { CLASSES, SIDE } from './dataset.ts';

/**
 * LeNet-5 with ReLU and max pooling (after Y. LeCun et al., Gradient-based learning applied to document recognition,
 * 1998). `same` pads a 28×28 image by 2, so that 16·5·5 = 400 features come out of the convolutions.
 */
export function createLenet(seed: number): tfl.LayersModel {
  let next = seed * 1_000;
  const dense = (units: number, activation: 'relu' | 'softmax', name: string) =>
    tfl.layers.dense({ units, activation, name, kernelInitializer: tfl.initializers.glorotUniform({ seed: (next += 1) }) });
  const convolution = (filters: number, padding: 'same' | 'valid', name: string, inputShape?: [number, number, number]) =>
    tfl.layers.conv2d({
      filters,
      kernelSize: 5,
      padding,
      activation: 'relu',
      name,
      kernelInitializer: tfl.initializers.glorotUniform({ seed: (next += 1) }),
      ...(inputShape && { inputShape }),
    });
  return tfl.sequential({
    name: 'lenet5',
    layers: [
      convolution(6, 'same', 'conv1', [SIDE, SIDE, 1]),
      tfl.layers.maxPooling2d({ poolSize: 2, name: 'pool1' }),
      convolution(16, 'valid', 'conv2'),
      tfl.layers.maxPooling2d({ poolSize: 2, name: 'pool2' }),
      tfl.layers.flatten({ name: 'flatten' }),
      dense(120, 'relu', 'dense1'),
      dense(84, 'relu', 'dense2'),
      dense(CLASSES, 'softmax', 'probabilities'),
    ],
  });
}
