import type { Command, CommandGroup } from './command.ts';
import { type ServerFlags, serverFlags } from './server-flags.ts';

/** A kind of what a server's estate has, and what its commands say of it. */
interface EstateKind {
  readonly kind: 'repositories' | 'policies' | 'sources';
  /** One of them. */
  readonly one: string;
  /** What a removal leaves as it is. */
  readonly kept: string;
  /** A name for examples. */
  readonly example: string;
}

/** The commands for one kind: to look and to remove. What is there is made and changed by `holdfast apply`. */
export function estateCommands({ kind, one, kept, example }: EstateKind): CommandGroup {
  const list: Command<ServerFlags> = {
    name: `${kind} list`,
    summary: `List the ${kind} of a server`,
    description: `Lists the ${kind} that a server knows.`,
    arguments: { usage: '', minimum: 0, maximum: 0 },
    flags: serverFlags,
    examples: [{ text: 'all of them', command: `holdfast ${kind} list` }],
    exitCodes: [0, 1],
    run: async (invocation) => (await import('./actions/named.ts')).listNamed(kind, invocation),
  };
  const show: Command<ServerFlags> = {
    name: `${kind} show`,
    summary: `Show one ${one} of a server`,
    description: `Shows a ${one} as the estate file has it, without secrets.`,
    arguments: { usage: 'NAME', minimum: 1, maximum: 1, complete: [] },
    flags: serverFlags,
    examples: [{ text: 'one', command: `holdfast ${kind} show ${example}` }],
    exitCodes: [0, 1],
    run: async (invocation) => (await import('./actions/named.ts')).showNamed(kind, invocation),
  };
  const remove: Command<ServerFlags> = {
    name: `${kind} remove`,
    summary: `Remove a ${one} from a server`,
    description: `Removes a ${one} that nothing else uses. ${kept}`,
    arguments: { usage: 'NAME', minimum: 1, maximum: 1, complete: [] },
    flags: serverFlags,
    examples: [{ text: 'one', command: `holdfast ${kind} remove ${example}` }],
    exitCodes: [0, 1],
    run: async (invocation) => (await import('./actions/named.ts')).removeNamed(kind, invocation),
  };
  return {
    name: kind,
    summary: `Look at ${kind} of a server, remove them`,
    description: `
Looks at the ${kind} that a server knows and removes single ones. They are made and changed by "holdfast apply". Log in first with
"holdfast login".`,
    commands: [list, show, remove],
    examples: [{ text: 'all of them', command: `holdfast ${kind} list` }],
  };
}
