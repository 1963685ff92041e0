/** What the server told of something that goes on. */
export interface ServerEvent {
  /** `run`, `log`, or `failed` if the server could tell no more. */
  readonly event: string;
  readonly id?: string;
  /** A JSON document. */
  readonly data: unknown;
}

/** Characters of one event at most. */
const eventSizeMax = 1 << 22;

/**
 * The events of an answer, as they come.
 * @throws RangeError if one is too large; SyntaxError if one is no JSON
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const bytes of body) {
    text += decoder.decode(bytes, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const told = parseEvent(text.slice(0, end));
      text = text.slice(end + 2);
      if (told) yield told;
    }
    if (text.length > eventSizeMax) throw new RangeError('an event is larger than it may be');
  }
}

function parseEvent(block: string): ServerEvent | undefined {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const at = line.indexOf(': ');
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 2));
  }
  const data = fields.get('data');
  if (data === undefined) return undefined;
  const id = fields.get('id');
  return {
    event: fields.get('event') ?? 'message',
    ...(id === undefined ? {} : { id }),
    data: JSON.parse(data) as unknown,
  };
}
