import { usage } from './parse.ts';
import { parseBoolean } from './values.ts';
import type { Variables } from './variables.ts';

/** A switch of restic 0.19.1 for behaviour that is about to come or to go. */
export interface Feature {
  readonly name: string;
  /** A stable one is always on. */
  readonly state: 'alpha' | 'beta' | 'stable';
  readonly isDefault: boolean;
  /** What it does here. */
  readonly description: string;
}

const hardLinkDevices = 'device-id-for-hardlinks';

/** All that may be named, sorted. */
export const features: readonly Feature[] = [
  {
    name: 'backend-error-redesign',
    state: 'beta',
    isDefault: true,
    description: 'give up requests to remote storage that hang: nothing to act on so far',
  },
  {
    name: 'deprecate-legacy-index',
    state: 'stable',
    isDefault: true,
    description: 'refuse index files in the form of restic 0.1.0',
  },
  {
    name: 'deprecate-s3-legacy-layout',
    state: 'stable',
    isDefault: true,
    description: 'refuse the layout that restic up to 0.7.0 had on S3',
  },
  {
    name: hardLinkDevices,
    state: 'alpha',
    isDefault: false,
    description: 'store device numbers for hard links only, so that a new one changes no folder',
  },
  {
    name: 'explicit-s3-anonymous-auth',
    state: 'stable',
    isDefault: true,
    description: 'use S3 without a login only where that is asked for',
  },
  {
    name: 's3-restore',
    state: 'alpha',
    isDefault: false,
    description: 'fetch objects of cold S3 storage classes: nothing to act on so far',
  },
  {
    name: 'safe-forget-keep-tags',
    state: 'stable',
    isDefault: true,
    description: 'refuse a forget that would keep nothing because no snapshot has the tag to keep',
  },
];

/** Features that are on. */
export interface FeatureChoice {
  /** Device numbers are stored for hard links only. */
  readonly hardLinkDevices: boolean;
  /** What is asked for in vain. */
  readonly warnings: readonly string[];
}

/**
 * Reads `HOLDFAST_FEATURES` or `RESTIC_FEATURES`: `name`, `name=true` or `name=false`, with commas between; of several for
 * one feature the last counts.
 * @throws USAGE for one that does not exist, or a value that is neither true nor false
 */
export function readFeatures(variables: Variables): FeatureChoice {
  const given = variables.find('FEATURES');
  const warnings: string[] = [];
  const isOn = new Map(features.map(({ name, isDefault }) => [name, isDefault]));
  for (const text of given?.value.split(',') ?? []) {
    const [name = '', ...rest] = text.split('=');
    const value = rest.length === 0 ? { value: true } : parseBoolean(rest.join('='));
    const feature = features.find((known) => known.name === name);
    const where = `in ${given?.name}`;
    if (!feature) {
      throw usage(
        `unknown feature flag ${JSON.stringify(name)} ${where}`,
        'List them with "holdfast features".',
      );
    }
    if (!('value' in value)) {
      throw usage(`the feature flag "${name}" ${where} takes true or false`);
    }
    if (feature.state === 'stable') warnings.push(`the feature flag "${name}" is always on`);
    else isOn.set(name, value.value);
  }
  return { hardLinkDevices: isOn.get(hardLinkDevices) === true, warnings };
}
