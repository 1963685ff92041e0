/** What a server told of something that goes on. */
export interface ToldEvent {
  readonly event: string;
  readonly data: string;
}

/** Characters of one event at most. */
const eventSizeMax = 1 << 22;

/** The events of an answer, as they come. @see https://html.spec.whatwg.org/multipage/server-sent-events.html */
export async function* readEvents({ body }: Response): AsyncGenerator<ToldEvent> {
  if (!body) return;
  const decoder = new TextDecoder();
  let text = '';
  for await (const bytes of body) {
    text += decoder.decode(bytes, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const told = parseEvent(text.slice(0, end));
      text = text.slice(end + 2);
      if (told) yield told;
    }
    if (text.length > eventSizeMax) return;
  }
}

function parseEvent(block: string): ToldEvent | undefined {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const at = line.indexOf(': ');
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 2));
  }
  const data = fields.get('data');
  return data === undefined ? undefined : { event: fields.get('event') ?? 'message', data };
}
