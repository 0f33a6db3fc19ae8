import type { Preparation } from '../../../datasets/dataset.ts';
import type { Values } from '../../../engines/training/trainer.ts';
import type { TeacherSpec } from './schema.ts';
import { problemOfScores, softTargets } from './soft-targets.ts';
import { nameOfTeacher, type Teacher, type TeacherModel, teacherScores, unsuitableTeacher } from './teacher.ts';

/** What a teacher gives to a batch: probabilities at the temperature [N, classes], for inputs as the student gets them. */
export type Lessons = (inputs: Values) => Promise<Values>;

/** @throws from the function it gives: SlipwayError UNSUITABLE_DATA when the outputs are not what slipway.json says */
export function createLessons(
  model: TeacherModel,
  teacher: Teacher,
  { temperature }: Pick<TeacherSpec, 'temperature'>,
  { target }: Preparation,
): Lessons {
  const scores = teacherScores(teacher, target);
  return async (inputs) => {
    const outputs = await model.outputs(inputs);
    const problem = problemOfScores(outputs, scores);
    if (problem !== undefined)
      throw unsuitableTeacher(
        `${nameOfTeacher(teacher)} cannot teach: ${problem}; "classification.scores" in its slipway.json says that it gives ${scores.kind}.`,
      );
    return { shape: [inputs.shape[0]!, scores.order.length], data: softTargets(outputs, scores, temperature) };
  };
}
