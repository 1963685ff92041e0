import { describe, expect, it } from 'vitest';
import { mergeTargets, snapshotComponents, type TargetNode } from './target-tree.ts';

/** One line a node: name in the snapshot, path on this machine, `!` explicit, `+` part of a target, `-` implied. */
function shapeOf(paths: readonly string[]): string[] {
  const targets = paths.map((path) => ({ path, isExplicit: true }));
  return linesOf(mergeTargets(targets, '/home/me'), '');
}

function linesOf(nodes: ReadonlyMap<string, TargetNode>, indent: string): string[] {
  return [...nodes].flatMap(([name, node]) => {
    const mark = node.target === undefined ? '-' : node.target.isExplicit ? '!' : '+';
    return [`${indent}${name} ${mark} ${node.path}`, ...linesOf(node.children, `${indent} `)];
  });
}

describe('mergeTargets', () => {
  it('puts parents above targets', () => {
    expect(shapeOf(['/a/b/c', 'd/e'])).toEqual([
      'a - /a',
      ' b - /a/b',
      '  c ! /a/b/c',
      'd - /home/me/d',
      ' e ! /home/me/d/e',
    ]);
  });

  it('drops leading ..', () => {
    expect(shapeOf(['../x/y'])).toEqual(['x - /home/x', ' y ! /home/x/y']);
    expect(shapeOf(['../../z'])).toEqual(['z ! /z']);
    expect(snapshotComponents('../../z/y')).toEqual(['z', 'y']);
    expect(snapshotComponents('..')).toEqual([]);
  });

  it('merges equal and nested targets', () => {
    expect(shapeOf(['/a', '/a', '/a/b/c'])).toEqual(['a ! /a', ' b + /a/b', '  c ! /a/b/c']);
    expect(shapeOf(['/a/b', '/a/c'])).toEqual(['a - /a', ' b ! /a/b', ' c ! /a/c']);
  });

  it('renames what comes from another root', () => {
    expect(shapeOf(['x', '../x', '/x', 'x-1', '../x/y'])).toEqual([
      'x ! /home/me/x',
      'x-1 ! /home/x',
      ' y ! /home/x/y',
      'x-2 ! /x',
      'x-1-1 ! /home/me/x-1',
    ]);
  });

  it('lets the first of two equal targets say whether it is explicit', () => {
    const first = { path: 'a', isExplicit: false };
    const tree = mergeTargets([first, { path: 'a', isExplicit: true }], '/w');
    expect(tree.get('a')?.target).toBe(first);
  });
});
