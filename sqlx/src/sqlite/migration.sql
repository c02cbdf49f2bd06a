-- Deliveries and quotas of Hookwarden. Each statement can be run again. Times are in microseconds since 1970.

CREATE TABLE IF NOT EXISTS {table} (
  -- A hash of a replay key and the webhook id. A delivery has one row for each of its keys.
  key BLOB NOT NULL PRIMARY KEY,
  -- The start of the webhook id, for people. The store does not read it.
  webhook_id TEXT NOT NULL,
  -- The request that has claimed the delivery. NULL: the delivery is finished.
  claimant BLOB,
  -- The end of the claim's lease, or until when a finished delivery is remembered.
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS {index} ON {table_of_index} (expires_at);

CREATE TABLE IF NOT EXISTS {quotas} (
  -- A hash of the webhook id and the quota.
  key BLOB NOT NULL PRIMARY KEY,
  webhook_id TEXT NOT NULL,
  -- When the quota is full again.
  full_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS {quotas_index} ON {quotas_of_index} (full_at);
