import { dirname, join } from 'node:path/posix';
import { type Finding, finding } from './rule.ts';
import type { SourceFile } from './source-file.ts';

/** Anchors of a Markdown text, as they are made for its headings. */
export function anchorsOf(markdown: string): Set<string> {
  const headings = markdown.split('\n').filter((line) => /^#{1,6} /.test(line));
  return new Set(
    headings.map((line) =>
      line
        .replace(/^#+ /, '')
        .trim()
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

const mention =
  /\b(?:[\w-]+\/)*docs\/([A-Z]+\.md|[a-z-]+\.md)(#[\w-]+| (?:section|chapter)s? [\d., ]+| [\d.]+)?/g;

/**
 * Mentions of documents in source files that lead nowhere: a document or heading that is not there,
 * or a number of a chapter, which nobody keeps right.
 * @param documents anchors of each document, by its path
 */
export function brokenDocumentLinks(
  files: readonly SourceFile[],
  documents: ReadonlyMap<string, ReadonlySet<string>>,
): Finding[] {
  return files.flatMap((file) =>
    [...file.text.matchAll(mention)].flatMap((match) => {
      const [text, name, place] = match;
      const path = text.slice(0, text.length - (place?.length ?? 0));
      const wrong = linkProblem(documents.get(path), place, `docs/${name}`);
      const line = file.lineOf(match.index);
      return wrong === undefined ? [] : [finding(file, line, `${text.trim()}: ${wrong}`)];
    }),
  );
}

function linkProblem(
  anchors: ReadonlySet<string> | undefined,
  place: string | undefined,
  path: string,
): string | undefined {
  if (!anchors) return 'there is no such document';
  if (place === undefined) return undefined;
  if (!place.startsWith('#')) return `name a heading, as in ${path}#heading`;
  return anchors.has(place.slice(1)) ? undefined : 'there is no such heading';
}

/**
 * Links of documents to documents that lead nowhere.
 * @param texts documents by path
 */
export function brokenLinks(texts: ReadonlyMap<string, string>): Finding[] {
  const anchors = new Map([...texts].map(([path, text]) => [path, anchorsOf(text)]));
  return [...texts].flatMap(([from, text]) =>
    text.split('\n').flatMap((line, i) =>
      [...line.matchAll(/\]\((?!https?:)([^)#]*)(#[^)]*)?\)/g)].flatMap(
        ([, target = '', place]) => {
          const path = target === '' ? from : join(dirname(from), target);
          const known = anchors.get(path);
          if (!known)
            return path.endsWith('.md') ? [finding(from, i + 1, `there is no ${path}`)] : [];
          const isThere = place === undefined || known.has(place.slice(1));
          return isThere ? [] : [finding(from, i + 1, `${path} has no heading ${place}`)];
        },
      ),
    ),
  );
}

/** Changelog fragments that do not begin as `changelog/TEMPLATE.md` says. */
export function oddFragments(texts: ReadonlyMap<string, string>): Finding[] {
  const usual = /^(Security|Bugfix|Change|Enhancement): \S.*\n\n\S/;
  return [...texts]
    .filter(([path, text]) => path.startsWith('changelog/unreleased/') && !usual.test(text))
    .map(([path]) => finding(path, 1, 'begins with no kind, a sentence and an empty line'));
}
