/** What all processes and nodes of a database share: its secret, and the keys that prove its domains. */

/** Secrets that all processes and nodes of a database share. */
export interface SecretStore {
  /** The cluster secret, 32 bytes, made by the first caller. */
  clusterSecret(): Promise<Uint8Array>;
}

/** A key with which this node proves what it hosts. */
export interface NodeKeyRecord {
  /** From 1. */
  readonly number: number;
  /** 64 bytes. */
  readonly secretKey: Uint8Array;
  readonly activeFrom: number;
}

/** The node's keys, the same for all processes and nodes of the database. */
export interface NodeKeyStore {
  /** In ascending order of number. */
  list(): Promise<readonly NodeKeyRecord[]>;
  /** Adds a key behind number `after`, 0 if there is none. False if there is one by now. */
  add(key: Omit<NodeKeyRecord, "number">, after: number): Promise<boolean>;
  /** Deletes those with numbers below `number`. */
  deleteBelow(number: number): Promise<void>;
}
