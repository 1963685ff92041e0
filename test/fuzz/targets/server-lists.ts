import { RestListReader } from '../../../src/storage/rest-list.ts';
import { MultistatusReader } from '../../../src/storage/webdav/multistatus.ts';
import { answerOf, mustEqual } from '../expect.ts';
import { mutateBytes } from '../mutate-bytes.ts';
import { textSeeds } from '../seeds.ts';
import type { FuzzTarget } from '../target.ts';

interface Reader {
  push(chunk: Uint8Array): void;
  end(): void;
}

/** What a reader finds in `input`, given to it in pieces. */
function readAll(
  input: Uint8Array,
  stepBytes: number,
  open: (found: (item: unknown) => void) => Reader,
): unknown[] {
  const items: unknown[] = [];
  const reader = open((item) => items.push(item));
  for (let at = 0; at < input.byteLength; at += stepBytes) {
    reader.push(input.subarray(at, at + stepBytes));
  }
  reader.end();
  return items;
}

/** Holds that only the two errors leave, and that pieces make no difference. */
function runOn(open: (found: (item: unknown) => void) => Reader): (input: Uint8Array) => void {
  const codes = ['BACKEND_READ_FAILED', 'SERVER_ANSWER_INVALID'] as const;
  return (input) => {
    const read = (stepBytes: number): unknown => {
      const answer = answerOf(() => readAll(input, stepBytes, open), ...codes);
      return answer.isGiven ? answer.value : undefined;
    };
    mustEqual(read(3), read(1 << 20), 'a list in pieces');
  };
}

export const restListTarget: FuzzTarget = {
  name: 'rest-list',
  runsInCi: 2000,
  seeds: () =>
    textSeeds(
      '[{"name":"ab","size":12},{"name":"c\\"\\u0064","size":0}]',
      '["ab", "cd"]',
      'null',
      '[]',
    ),
  mutate: mutateBytes,
  run: runOn((found) => new RestListReader('files', found)),
};

export const multistatusTarget: FuzzTarget = {
  name: 'multistatus',
  runsInCi: 1500,
  seeds: () =>
    textSeeds(
      `<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"><D:response><D:href>/a%20b&amp;</D:href><D:propstat><D:prop><D:resourcetype/><D:getcontentlength>12</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>`,
      `<multistatus xmlns='DAV:'><!-- x --><response><href><![CDATA[/a/]]></href><propstat><prop><resourcetype><collection/></resourcetype><getlastmodified>Tue, 03 Mar 2026 10:00:00 GMT</getlastmodified></prop><status>HTTP/1.1 200 OK</status></propstat></response></multistatus>`,
    ),
  mutate: mutateBytes,
  run: runOn((found) => new MultistatusReader('files', found)),
};
