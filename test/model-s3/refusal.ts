import type { XmlElement } from './xml.ts';

/** What a server refuses with. */
export interface RefusalRow {
  readonly status: number;
  /** Such as `AccessDenied`. */
  readonly code: string;
}

/** A request that is refused: becomes an answer with an error in XML. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly elements: readonly XmlElement[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    { status, code }: RefusalRow,
    more: {
      readonly message?: string;
      readonly elements?: readonly XmlElement[];
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(more.message ?? `the model refuses: ${code}`);
    this.status = status;
    this.code = code;
    this.elements = more.elements ?? [];
    this.headers = more.headers ?? {};
  }
}

/** A refusal in one call. */
export function refuse(status: number, code: string, message?: string): Refusal {
  return new Refusal({ status, code }, message === undefined ? {} : { message });
}
