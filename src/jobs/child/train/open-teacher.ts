import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Preparation } from '../../../datasets/dataset.ts';
import type { Values } from '../../../engines/training/trainer.ts';
import { type NumericData, STORAGE } from '../../../tensor/dtype.ts';
import type { Tensor } from '../../../tensor/tensor.ts';
import {
  checkTeacherInput,
  nameOfTeacher,
  type OpenTeacher,
  type Teacher,
  type TeacherModel,
  unsuitableTeacher,
} from '../../training/distillation/teacher.ts';
import { modelInputs } from '../model-inputs.ts';
import { fixedBatchOf, scoresOutput } from '../optimize/measure.ts';
import { loadServed, type ServedModel } from '../optimize/served-model.ts';

/** Images with their channels last, as a teacher takes them that wants its channels first. */
function channelsFirst({ shape, data }: Values): Values {
  const [rows, height, width, channels] = shape as [number, number, number, number];
  const pixels = height * width;
  const moved = new Float32Array(data.length);
  for (let row = 0, at = 0; row < rows; row += 1)
    for (let channel = 0; channel < channels; channel += 1)
      for (let pixel = 0; pixel < pixels; pixel += 1, at += 1) moved[at] = data[(row * pixels + pixel) * channels + channel]!;
  return { shape: [rows, channels, height, width], data: moved };
}

/** Rows that a teacher with an open batch is run on at once. */
const MOST_ROWS = 256;

/** Loads a teacher as the server would serve it, in the process that trains. */
export const openTeacher: OpenTeacher = async ({ folder, teacher, preparation, scratch, threads }) => {
  const { model, engine } = await loadServed(folder, { compiles: true, threads, scratch });
  return teacherModel({ model, engine }, teacher, preparation);
};

/** A model in memory as a teacher. @throws SlipwayError UNSUITABLE_DATA when its inputs and outputs are not those of such data */
export function teacherModel({ model, engine }: ServedModel, teacher: Teacher, preparation: Preparation): TeacherModel {
  const { preprocessing, classification } = teacher;
  const { signature } = model;
  const [made] = preparation.inputs as [(typeof preparation.inputs)[number]];
  const { preprocessing: read } = preparation;
  const isChannelsFirst =
    preprocessing?.kind === 'image' && preprocessing.layout === 'CHW' && read.kind === 'image' && read.layout === 'HWC';
  const shown = isChannelsFirst ? [made.shape[2]!, made.shape[0]!, made.shape[1]!] : made.shape;
  // What the data calls its column is not what the model calls its input.
  const { input: _column, ...byData } = read;
  checkTeacherInput(teacher, signature, made);
  const inputs = modelInputs(signature, { ...made, shape: shown }, preprocessing ?? byData, (message) =>
    unsuitableTeacher(`${nameOfTeacher(teacher)} cannot teach: ${message}`),
  );
  const output = scoresOutput(model, { classification });
  const classes = classification.labels.length;
  const fixed = fixedBatchOf(model);

  /** Rows as the model takes them; what fills up a batch of a fixed size is 0. */
  function batchOf({ data }: Values, from: number, rows: number, size: number): Map<string, Tensor> {
    return new Map(
      inputs.map(({ spec, width, fill, shapeOf }) => {
        const values: NumericData = new STORAGE[spec.dtype](size * width);
        fill(data.subarray(from * width, (from + rows) * width), rows, values);
        return [spec.name, { dtype: spec.dtype, shape: shapeOf(size), data: values }];
      }),
    );
  }

  return {
    engine,
    async outputs(given) {
      const source = isChannelsFirst ? channelsFirst(given) : given;
      const count = given.shape[0]!;
      // As many as fit anywhere, however large a batch is that is divided for its memory's sake.
      const most = fixed ?? Math.min(count, MOST_ROWS);
      const found = new Float32Array(count * classes);
      for (let from = 0; from < count; from += most) {
        const rows = Math.min(most, count - from);
        const size = fixed ?? rows;
        const { dtype, shape, data } = (await model.run(batchOf(source, from, rows, size), [output])).get(output)!;
        if ((dtype !== 'FP32' && dtype !== 'FP64') || shape.length !== 2 || shape[0] !== size || shape[1] !== classes)
          throw unsuitableTeacher(
            `${nameOfTeacher(teacher)} cannot teach: its output "${output}" is ${dtype} of the shape [${shape.join(', ')}]; that of a classifier of ${classes} classes is [${size}, ${classes}].`,
          );
        found.set((data as Float32Array).subarray(0, rows * classes), from * classes);
        await nextTurn();
      }
      return found;
    },
    dispose: () => model.dispose(),
  };
}
