import { writePlist } from '../plist/write.ts';

export interface AppManifest {
  /** Where the package is. */
  readonly url: string;
  readonly identifier: string;
  /** CFBundleVersion, as the device compares it. */
  readonly version: string;
  readonly title: string;
  readonly size: number;
  /** Bytes of each hashed part but the last. */
  readonly partBytes: number;
  /** SHA-256 of each part, in order, one after the other. */
  readonly partHashes: Uint8Array;
}

/** The manifest that InstallApplication names by its ManifestURL (Apple: ManifestURL), with SHA-256 hashes of every part. */
export function appManifest(app: AppManifest): Buffer {
  const hashes = Buffer.from(app.partHashes).toString('hex').match(/.{64}/g) ?? [];
  return writePlist({
    items: [
      {
        assets: [{ kind: 'software-package', 'sha256-size': app.partBytes, sha256s: hashes, url: app.url }],
        metadata: {
          'bundle-identifier': app.identifier,
          'bundle-version': app.version,
          kind: 'software',
          title: app.title,
          sizeInBytes: app.size,
        },
      },
    ],
  });
}
