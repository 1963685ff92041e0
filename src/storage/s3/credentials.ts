import type { S3ClientConfig } from '@aws-sdk/client-s3';

/** Something that gives the keys that requests are signed with. */
export type Credentials = NonNullable<S3ClientConfig['credentials']>;

const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** The SDK's messages go nowhere: they may name what is secret, and standard error belongs to the program. */
export const silentLogger: NonNullable<S3ClientConfig['logger']> = silent;

/**
 * Finds the keys where restic does: the environment first, then what the vendor's tools know (profiles of shared files,
 * single sign-on, processes, web identity, metadata of container and instance), and with them the role of
 * `RESTIC_AWS_ASSUME_ROLE_ARN`.
 *
 * @param region where roles are assumed unless said otherwise
 */
export async function findCredentials(
  variables: Readonly<Record<string, string | undefined>>,
  region: string,
): Promise<Credentials> {
  const base = fromVariables(variables) ?? (await fromVendorsChain());
  const arn = variables['RESTIC_AWS_ASSUME_ROLE_ARN'];
  if (!arn) return base;
  const { fromTemporaryCredentials } = await import('@aws-sdk/credential-providers');
  const endpoint = variables['RESTIC_AWS_ASSUME_ROLE_STS_ENDPOINT'];
  const externalId = variables['RESTIC_AWS_ASSUME_ROLE_EXTERNAL_ID'];
  const policy = variables['RESTIC_AWS_ASSUME_ROLE_POLICY'];
  return fromTemporaryCredentials({
    masterCredentials: base,
    params: {
      RoleArn: arn,
      RoleSessionName: variables['RESTIC_AWS_ASSUME_ROLE_SESSION_NAME'] ?? 'holdfast',
      ...(externalId && { ExternalId: externalId }),
      ...(policy && { Policy: policy }),
    },
    clientConfig: {
      region: variables['RESTIC_AWS_ASSUME_ROLE_REGION'] ?? region,
      ...(endpoint && { endpoint }),
    },
    logger: silent,
  });
}

function fromVariables(
  variables: Readonly<Record<string, string | undefined>>,
): Credentials | undefined {
  const accessKeyId = variables['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = variables['AWS_SECRET_ACCESS_KEY'];
  if (!accessKeyId || !secretAccessKey) return undefined;
  const sessionToken = variables['AWS_SESSION_TOKEN'];
  return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
}

async function fromVendorsChain(): Promise<Credentials> {
  const { fromNodeProviderChain } = await import('@aws-sdk/credential-providers');
  return fromNodeProviderChain({ logger: silent });
}
