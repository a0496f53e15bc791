/** What the programs of this bench are given: one object as JSON, their only argument. */

/** A node, or what stands in its place. */
export interface ProgramOptions {
  /** Database file. */
  readonly file: string;
  /** Files with a certificate for the domain and for localhost, and its key, in PEM. */
  readonly certificate: string;
  readonly key: string;
  /** File with the certificate of the authority that signs all certificates, in PEM. */
  readonly authority: string;
  readonly domain: string;
  /** On 127.0.0.1. */
  readonly port: number;
  readonly peer: { readonly domain: string; readonly port: number };
}

/** What a node of ours is given. */
export interface NodeOptions extends ProgramOptions {
  /** Whether it knows DeliverShareStream. */
  readonly takesStreams: boolean;
}

/** What this program was given. */
export function programOptions<T extends ProgramOptions>(): T {
  return JSON.parse(process.argv[2] ?? "") as T;
}
