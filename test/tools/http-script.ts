import { afterEach, beforeEach } from 'vitest';

import { type Answer, ScriptedServer, type SeenRequest } from './scripted-http.ts';

/** A server that says what the test at hand has it say. */
export interface HttpScript {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  /** Of the test at hand. */
  readonly requests: readonly SeenRequest[];
  answer: Answer;
}

/** A server for each test of a file. */
export function startHttpScript(): HttpScript {
  let server: ScriptedServer;
  const script = {
    address: '',
    get requests(): readonly SeenRequest[] {
      return server.seen;
    },
    answer: (_: SeenRequest, response: Parameters<Answer>[1]): unknown => response.destroy(),
  };
  beforeEach(async () => {
    server = new ScriptedServer();
    server.answer = (request, response) => void script.answer(request, response);
    script.address = await server.listen();
  });
  afterEach(() => server.close());
  return script;
}
