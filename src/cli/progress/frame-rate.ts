import { usage } from '../parse.ts';
import type { Variables } from '../variables.ts';

const framesPerSecondDefault = 10;
const framesPerSecondMax = 60;

/** Updates a second that `RESTIC_PROGRESS_FPS` asks for. @throws USAGE if it is no positive number */
export function framesPerSecond(variables: Variables): number {
  const found = variables.find('PROGRESS_FPS');
  if (!found) return framesPerSecondDefault;
  const value = /^\d+(\.\d+)?$/.test(found.value) ? Number(found.value) : 0;
  if (value > 0) return Math.min(value, framesPerSecondMax);
  throw usage(
    `invalid value for ${found.name} ${JSON.stringify(found.value)}: must be a positive number`,
  );
}
