import { randomBytes } from 'node:crypto';

import {
  DeleteObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';

import type { S3Server } from './radosgw.ts';

/** Somebody with the credentials of a backup, who wants it gone. */
export class S3Attacker {
  readonly client: S3Client;
  readonly #bucket: string;

  constructor({ endpoint, variables }: Pick<S3Server, 'endpoint' | 'variables'>, bucket: string) {
    const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } =
      variables;
    this.#bucket = bucket;
    this.client = new S3Client({
      endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      credentials: { accessKeyId, secretAccessKey },
    });
  }

  /** Keys of all that is to be seen. */
  async keys(prefix = ''): Promise<string[]> {
    const { Contents: objects = [] } = await this.client.send(
      new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix }),
    );
    return objects.flatMap(({ Key: key }) => key ?? []);
  }

  /** Puts noise over files, as ransomware does. */
  async overwrite(keys: readonly string[], sizeBytes = 5000): Promise<void> {
    for (const key of keys) {
      const input = { Bucket: this.#bucket, Key: key, Body: randomBytes(sizeBytes) };
      await this.client.send(new PutObjectCommand(input));
    }
  }

  /** Deletes files, as anybody would. */
  async remove(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      await this.client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key }));
    }
  }

  /** Tries to delete every version of everything for good. @returns how many went, and how many were refused */
  async removeVersions(): Promise<{ readonly goneCount: number; readonly refusedCount: number }> {
    const { Versions: versions = [], DeleteMarkers: markers = [] } = await this.client.send(
      new ListObjectVersionsCommand({ Bucket: this.#bucket }),
    );
    let goneCount = 0;
    let refusedCount = 0;
    for (const { Key: key, VersionId: id } of [...versions, ...markers]) {
      const input = { Bucket: this.#bucket, Key: key, VersionId: id };
      await this.client.send(new DeleteObjectCommand(input)).then(
        () => goneCount++,
        () => refusedCount++,
      );
    }
    return { goneCount, refusedCount };
  }
}
