import { foresee, type Foreseen } from '../../datasets/preparation/foresee.ts';
import type { TargetSpec } from '../../datasets/dataset.ts';
import { SlipwayError } from '../../errors/slipway-error.ts';
import type { ResolvedTeacher } from './distillation/resolve-teacher.ts';
import { checkReadsAlike, checkTeacherInput, teacherRequest, teacherScores } from './distillation/teacher.ts';
import { requestOf } from './fine-tuning/adopt.ts';
import type { Parent } from './fine-tuning/parent.ts';
import { tunedLayers } from './fine-tuning/tuned-layers.ts';
import { METRICS_OF } from './metrics.ts';
import type { TrainSpec } from './spec.ts';
import { preparationRequestOf, trainerSpecOf } from './trainer-spec.ts';

function unsuitable(path: string, message: string): SlipwayError {
  return new SlipwayError('UNSUITABLE_DATA', message, { details: [{ path, message }] });
}

/** Whether what the spec wants measured is measured of such a target. */
function checkMetrics({ publish, earlyStopping }: TrainSpec, target: TargetSpec): void {
  if (target.kind === 'none') return;
  const measured: readonly string[] = METRICS_OF[target.kind];
  const what = { class: 'classes', number: 'numbers', tags: 'labels', token: 'tokens' }[target.kind];
  for (const [path, metric] of [
    ['publish.if.metric', publish?.if?.metric],
    ['earlyStopping.metric', earlyStopping?.metric],
  ] as const) {
    if (metric !== undefined && !measured.includes(metric))
      throw unsuitable(path, `The metric "${metric}" is not measured of ${what}; there are ${measured.join(', ')}.`);
  }
}

function checkAugmentation({ augmentation }: TrainSpec, { kind }: Foreseen): void {
  if (augmentation !== undefined && kind !== 'image')
    throw unsuitable('augmentation', `augmentation is for images; what the model is to read is a ${kind}.`);
}

/**
 * Refuses before the queue what would be refused once the data has been looked through, as far as its description tells.
 * @param folder of the dataset
 * @param parent the version that is trained further
 * @param taught by which version
 * @throws SlipwayError UNSUITABLE_DATA, COLUMN_NOT_FOUND, INVALID_ARCHITECTURE
 */
export function checkSpec(spec: TrainSpec, folder: string, parent: Parent | undefined, taught: ResolvedTeacher | undefined): void {
  const reading = parent === undefined ? taught && teacherRequest(taught.teacher) : requestOf(parent);
  const foreseen = foresee(folder, { ...preparationRequestOf(spec), ...reading });
  checkAugmentation(spec, foreseen);
  const { target, input } = foreseen;
  if (taught !== undefined) {
    const { teacher, signature } = taught;
    if (parent !== undefined) checkReadsAlike(teacher, parent);
    if (target !== undefined) teacherScores(teacher, target);
    if (signature !== undefined) checkTeacherInput(teacher, signature, input);
  }
  if (target === undefined) return;
  checkMetrics(spec, target);
  const { architecture } = spec;
  if (parent === undefined || architecture.kind !== 'version') {
    trainerSpecOf(spec, target, input, undefined);
    return;
  }
  const shape = parent.inputShape?.map((size) => size ?? Number.NaN) ?? input.shape;
  trainerSpecOf(spec, target, { ...input, shape }, tunedLayers(architecture, parent, target));
}
