import { expect, test } from 'vitest';
import { displayWidth, formatTable } from './table.ts';

test('columns are as wide as their widest line', () => {
  const rows = [
    { name: 'a', tags: ['one', 'three'], size: '5 B' },
    { name: 'longer', tags: [], size: '12.5 MiB' },
  ];
  const lines = formatTable(
    [
      { title: 'Name', cell: ({ name }: (typeof rows)[number]) => name },
      { title: 'Tags', cell: ({ tags }) => tags },
      { title: 'Size', alignRight: true, cell: ({ size }) => size },
    ],
    rows,
    { footer: ['2 rows'] },
  );
  expect(lines.join('\n')).toMatchInlineSnapshot(`
    "Name    Tags       Size
    -----------------------
    a       one         5 B
            three
    longer         12.5 MiB
    -----------------------
    2 rows"
  `);
});

test('an empty table has a head', () => {
  const lines = formatTable([{ title: 'ID', cell: () => '' }], []);
  expect(lines).toEqual(['ID', '--', '--']);
});

test('wide and combining characters count as a terminal shows them', () => {
  expect(displayWidth('abc')).toBe(3);
  expect(displayWidth('漢字')).toBe(4);
  expect(displayWidth('e\u0301')).toBe(1);
  expect(displayWidth('🙂')).toBe(2);
});
