import type { ProblemDocument } from './documents.ts';

/** A request that the server refused, or that failed there. */
export class ProblemError extends Error {
  /** What the server says; its `code` is of docs/ERRORS.md, and `errors` names the fields that are wrong. */
  readonly problem: ProblemDocument;

  constructor(problem: ProblemDocument) {
    super(problem.detail ?? problem.title);
    this.name = 'ProblemError';
    this.problem = problem;
  }

  /** The code of the problem: for programs to decide by. */
  get code(): string {
    return this.problem.code;
  }
}

/** What an answer that is no success says. One that is of something in between, such as a proxy, gets the code `PROTOCOL_BROKEN`. */
export async function problemOf(response: Response): Promise<ProblemError> {
  const text = await response.text();
  return new ProblemError(
    parsed(text) ?? {
      type: 'about:blank',
      title: `the answer is no problem document (status ${response.status})`,
      status: response.status,
      code: 'PROTOCOL_BROKEN',
      'request-id': '',
    },
  );
}

function parsed(text: string): ProblemDocument | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isProblem(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isProblem(value: unknown): value is ProblemDocument {
  if (typeof value !== 'object' || value === null) return false;
  const { code, title, status } = value as Partial<Record<string, unknown>>;
  return typeof code === 'string' && typeof title === 'string' && typeof status === 'number';
}
