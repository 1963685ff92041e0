import type { Environment } from '../base/environment.ts';
import type { Monitor } from '../base/monitor.ts';

/** What every operation gets besides its own arguments. */
export interface EngineContext<M extends Monitor = Monitor> {
  readonly environment: Environment;
  readonly monitor: M;
  /** Stops the work; what was stored stays useful. */
  readonly signal?: AbortSignal | undefined;
}
