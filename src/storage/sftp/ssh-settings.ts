import { homedir, hostname, userInfo } from 'node:os';
import path from 'node:path';

import { HoldfastError } from '../../base/errors.ts';
import { runToEnd } from './run-to-end.ts';

/** How one host is reached and judged: what OpenSSH's `ssh` would use, as far as it matters here. */
export interface SshSettings {
  /** As the user wrote it. */
  readonly alias: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly identityFiles: readonly string[];
  /** Offer keys of the agent only if they belong to an identity file. */
  readonly identitiesOnly: boolean;
  /** Socket of the agent. */
  readonly agent: string | undefined;
  /** The user's own first: the one that is written to. */
  readonly knownHostsFiles: readonly string[];
  /** Unknown keys are taken and written down. */
  readonly acceptsNew: boolean;
  readonly hashesNames: boolean;
  /** Name to look for in the files of known hosts instead of the host's own. */
  readonly hostKeyAlias: string | undefined;
  /** `user@host:port` with commas between, first hop first. */
  readonly proxyJump: string | undefined;
  readonly proxyCommand: string | undefined;
  /** Names of algorithms that are allowed; empty: what is usual. */
  readonly algorithms: Readonly<Record<AlgorithmKind, readonly string[]>>;
  readonly family: 0 | 4 | 6;
  readonly connectTimeoutMs: number;
  readonly aliveIntervalMs: number;
  readonly aliveCountMax: number;
}

/** Keywords of `ssh -G` that name algorithms. */
export type AlgorithmKind = 'ciphers' | 'hostkeyalgorithms' | 'kexalgorithms' | 'macs';

/** A host as the user named it. */
export interface SshTarget {
  readonly alias: string;
  readonly user?: string | undefined;
  readonly port?: number | undefined;
  /** Further arguments for `ssh`, such as `-F`, `-i` and `-o`. */
  readonly args: readonly string[];
  readonly signal?: AbortSignal;
}

const connectTimeoutMsDefault = 30_000;
/** A peer that is gone is found after three of them; OpenSSH itself would wait for ever. */
const aliveIntervalMsDefault = 20_000;
const usualIdentities = ['id_ed25519', 'id_ecdsa', 'id_rsa'];
const noAlgorithms = { ciphers: [], hostkeyalgorithms: [], kexalgorithms: [], macs: [] };

/**
 * Asks `ssh -G` for the settings of a host, and does with what is usual where there is no such program.
 *
 * @throws USAGE if `ssh` refuses host, arguments or its own files
 */
export async function resolveSshSettings(target: SshTarget): Promise<SshSettings> {
  if (!/^[^-\s\0][^\s\0]*$/.test(target.alias)) {
    throw new HoldfastError('LOCATION_INVALID', { message: 'sftp: this is no name of a host' });
  }
  const args = [
    '-G',
    ...(target.port === undefined ? [] : ['-p', `${target.port}`]),
    ...(target.user === undefined ? [] : ['-l', target.user]),
    ...target.args,
    '--',
    target.alias,
  ];
  const run = await runToEnd('ssh', args, target.signal);
  if (run === undefined) return usualSettings(target);
  if (run.exitCode === 0) return readSettings(target, parseAnswer(run.output));
  const lines = run.errors.split('\n').filter((line) => !line.startsWith('Pseudo-terminal'));
  throw new HoldfastError('USAGE', {
    message: 'ssh refuses its settings for this host',
    details: { host: target.alias, says: lines.join(' ').trim().slice(0, 300) },
  });
}

/** Fills in what `%h` and so on stand for. @see ssh_config(5), TOKENS; undefined for one that is not known here */
export function expandTokens(text: string, settings: SshSettings): string | undefined {
  const local = hostname();
  const tokens: Readonly<Record<string, string>> = {
    '%': '%',
    d: homedir(),
    h: settings.host,
    i: `${process.getuid?.() ?? ''}`,
    k: settings.hostKeyAlias ?? settings.alias,
    L: local.split('.')[0] ?? local,
    l: local,
    n: settings.alias,
    p: `${settings.port}`,
    r: settings.user,
    u: userInfo().username,
  };
  let isKnown = true;
  const expanded = text.replaceAll(/%(.)|\$\{(\w+)\}/g, (_, token?: string, variable?: string) => {
    const value = token === undefined ? process.env[variable ?? ''] : tokens[token];
    isKnown &&= value !== undefined;
    return value ?? '';
  });
  return isKnown ? expanded : undefined;
}

/** Answers of `ssh -G`: a keyword in lower case and its value; some come several times. */
type Answer = ReadonlyMap<string, readonly string[]>;

function parseAnswer(text: string): Answer {
  const answer = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const blank = line.indexOf(' ');
    if (blank < 0) continue;
    const keyword = line.slice(0, blank).toLowerCase();
    const values = answer.get(keyword) ?? [];
    values.push(line.slice(blank + 1).trim());
    answer.set(keyword, values);
  }
  return answer;
}

function usualSettings(target: SshTarget): SshSettings {
  if (target.args.length > 0) {
    throw new HoldfastError('USAGE', {
      message: 'the option "sftp.args" needs the program ssh, which is not there',
    });
  }
  return readSettings(target, new Map());
}

function readSettings(target: SshTarget, answer: Answer): SshSettings {
  const one = (keyword: string): string | undefined => {
    const value = answer.get(keyword)?.[0];
    return value === undefined || value === 'none' || value === '' ? undefined : value;
  };
  const count = (keyword: string): number => Number(/^[0-9]+$/.exec(one(keyword) ?? '')?.[0] ?? 0);
  const base = {
    alias: target.alias,
    host: one('hostname') ?? target.alias,
    port: count('port') || (target.port ?? 22),
    user: one('user') ?? target.user ?? userInfo().username,
    identitiesOnly: one('identitiesonly') === 'yes',
    acceptsNew: ['accept-new', 'no', 'off', 'false'].includes(one('stricthostkeychecking') ?? ''),
    hashesNames: one('hashknownhosts') === 'yes',
    hostKeyAlias: one('hostkeyalias'),
    proxyJump: one('proxyjump'),
    proxyCommand: one('proxycommand'),
    algorithms: readAlgorithms(answer),
    family: readFamily(one('addressfamily')),
    connectTimeoutMs: count('connecttimeout') * 1000 || connectTimeoutMsDefault,
    aliveIntervalMs: count('serveraliveinterval') * 1000 || aliveIntervalMsDefault,
    aliveCountMax: count('serveralivecountmax') || 3,
  } as const;
  const partial: SshSettings = {
    ...base,
    identityFiles: [],
    knownHostsFiles: [],
    agent: undefined,
  };
  const expandAll = (texts: readonly string[]): string[] =>
    texts.flatMap((text) => expandPath(text, partial) ?? []);
  const userFiles = splitPaths(one('userknownhostsfile') ?? inSshFolder('known_hosts'));
  const globalFiles = splitPaths(one('globalknownhostsfile') ?? '/etc/ssh/ssh_known_hosts');
  return {
    ...partial,
    identityFiles: expandAll(answer.get('identityfile') ?? usualIdentities.map(inSshFolder)),
    knownHostsFiles: expandAll([...userFiles, ...globalFiles]),
    agent: findAgent(answer.get('identityagent')?.[0], partial),
  };
}

function inSshFolder(name: string): string {
  return path.join(homedir(), '.ssh', name);
}

function readFamily(text: string | undefined): SshSettings['family'] {
  if (text === 'inet') return 4;
  return text === 'inet6' ? 6 : 0;
}

function readAlgorithms(answer: Answer): SshSettings['algorithms'] {
  const lists = Object.keys(noAlgorithms).map((kind) => [
    kind,
    answer.get(kind)?.[0]?.split(',') ?? [],
  ]);
  return { ...noAlgorithms, ...Object.fromEntries(lists) };
}

/** Several paths in one line, which `ssh -G` does not quote: each begins at a root, a home or a variable. */
function splitPaths(text: string): string[] {
  return text.split(/\s+(?=[/~%$]|[A-Za-z]:[\\/])/);
}

function expandPath(text: string, settings: SshSettings): string | undefined {
  const expanded = expandTokens(text, settings);
  return expanded?.replace(/^~(?=[/\\]|$)/, homedir());
}

function findAgent(wanted: string | undefined, settings: SshSettings): string | undefined {
  const usual = process.env['SSH_AUTH_SOCK'] || undefined;
  if (wanted === undefined || wanted === 'SSH_AUTH_SOCK') return usual;
  if (wanted === 'none') return undefined;
  if (wanted.startsWith('$') && !wanted.startsWith('${')) {
    return process.env[wanted.slice(1)] || undefined;
  }
  return expandPath(wanted, settings);
}
