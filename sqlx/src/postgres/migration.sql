-- Deliveries and quotas of Hookwarden. Each statement can be run again.

CREATE TABLE IF NOT EXISTS {table} (
  -- A hash of a replay key and the webhook id. A delivery has one row for each of its keys.
  key bytea PRIMARY KEY,
  -- The start of the webhook id, for people. The store does not read it.
  webhook_id text NOT NULL,
  -- The request that has claimed the delivery. NULL: the delivery is finished.
  claimant bytea,
  -- The end of the claim's lease, or until when a finished delivery is remembered.
  expires_at timestamptz NOT NULL
);

CREATE TABLE IF NOT EXISTS {quotas} (
  -- A hash of the webhook id and the quota.
  key bytea PRIMARY KEY,
  webhook_id text NOT NULL,
  -- When the quota is full again.
  full_at timestamptz NOT NULL
);

-- `CREATE INDEX IF NOT EXISTS` waits for open transactions even if the index exists.
DO $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
      WHERE indrelid = '{table}'::regclass AND '"' || relname || '"' = '{index}'
  ) THEN
    CREATE INDEX {index} ON {table} (expires_at);
  END IF;
  IF NOT EXISTS (
    SELECT FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
      WHERE indrelid = '{quotas}'::regclass AND '"' || relname || '"' = '{quotas_index}'
  ) THEN
    CREATE INDEX {quotas_index} ON {quotas} (full_at);
  END IF;
END $$;

-- Fails (WH003) unless the statement is a transaction of its own, sent with the simple protocol. A connection can come
-- out of a pool with an abandoned transaction: what a call changes in it would stay locked, and be lost in the end.
CREATE OR REPLACE FUNCTION {require_own_tx}() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF transaction_timestamp() <> statement_timestamp() THEN
    RAISE EXCEPTION 'the connection has an open transaction' USING ERRCODE = 'WH003';
  END IF;
END $$;

-- Claims all keys of a delivery or none, then counts the request against the quota.
--
-- keys: ascending; empty to count only. lease, period: microseconds. burst: 0 without a quota. deadline: microseconds
-- since 1970 by this server's clock, after which the caller does not wait any more; 0 if unknown. patience: the longest
-- wait for a lock, in milliseconds.
--
-- outcome: 0 granted, 1 finished, 2 in progress, 3 over quota, 4 past the deadline. wait: when to try again. ahead: when
-- the quota is full again. clock: this server's clock. These three are in microseconds.
CREATE OR REPLACE FUNCTION {admit}(
  keys bytea[], sender text, holder bytea, lease bigint, quota bytea, burst bigint, period bigint, deadline bigint,
  patience bigint, OUT outcome integer, OUT wait bigint, OUT ahead bigint, OUT clock bigint
) LANGUAGE plpgsql
-- A plan from the time when the table was small must not read a table that has grown.
SET enable_seqscan = off
AS $$
DECLARE
  micro CONSTANT interval := '1 microsecond';
  quota_window CONSTANT interval := burst * period * micro;
  one_key bytea;
  row_found record;
  start timestamptz := clock_timestamp();
  own bytea[];
  finished boolean;
  held_until timestamptz;
  full_again timestamptz;
BEGIN
  PERFORM {require_own_tx}();
  outcome := 0;
  wait := 0;
  ahead := 0;
  clock := extract(epoch FROM start) * 1000000;
  IF deadline > 0 AND clock > deadline THEN
    outcome := 4;
    RETURN;
  END IF;
  PERFORM set_config('lock_timeout', patience::text, true);

  <<claim>>
  LOOP
    -- Look first, because a lock waits for a transaction that is committing this delivery.
    own := '{}';
    finished := false;
    held_until := NULL;
    FOREACH one_key IN ARRAY keys LOOP
      SELECT d.claimant, d.expires_at INTO row_found FROM {table} d
        WHERE d.key = one_key AND d.expires_at > clock_timestamp();
      IF NOT FOUND THEN
        CONTINUE;
      ELSIF row_found.claimant IS NULL THEN
        finished := true;
      ELSIF row_found.claimant = holder THEN
        own := own || one_key;
      ELSE
        held_until := greatest(held_until, row_found.expires_at);
      END IF;
    END LOOP;
    IF finished THEN
      outcome := 1;
    ELSIF held_until IS NOT NULL THEN
      outcome := 2;
      wait := greatest(1, extract(epoch FROM held_until - clock_timestamp()) * 1000000);
    END IF;
    EXIT claim WHEN outcome <> 0;

    FOREACH one_key IN ARRAY keys LOOP
      INSERT INTO {table} AS d (key, webhook_id, claimant, expires_at)
        VALUES (one_key, sender, holder, clock_timestamp() + lease * micro)
        ON CONFLICT (key) DO UPDATE SET claimant = EXCLUDED.claimant, expires_at = EXCLUDED.expires_at
        WHERE d.claimant = holder OR d.expires_at <= clock_timestamp();
      IF NOT FOUND THEN
        -- Another request took this key after the look: give the others back, and look again.
        DELETE FROM {table} d WHERE d.key = ANY(keys) AND d.key <> ALL(own) AND d.claimant = holder;
        CONTINUE claim;
      END IF;
    END LOOP;
    EXIT claim;
  END LOOP;

  IF outcome = 0 AND burst > 0 THEN
    start := clock_timestamp();
    IF own = keys AND own <> '{}' THEN
      -- The same request again: it is already counted.
      SELECT q.full_at INTO full_again FROM {quotas} q WHERE q.key = quota;
    ELSE
      -- GCRA. The quota is at most one window ahead, unless this server's clock was set back.
      INSERT INTO {quotas} AS q (key, webhook_id, full_at) VALUES (quota, sender, start + period * micro)
        ON CONFLICT (key) DO UPDATE
        SET full_at = greatest(least(q.full_at, start + quota_window), start) + period * micro
        WHERE least(q.full_at, start + quota_window) + period * micro <= start + quota_window
        RETURNING q.full_at INTO full_again;
      IF NOT FOUND THEN
        SELECT least(q.full_at, start + quota_window) INTO full_again FROM {quotas} q WHERE q.key = quota;
        outcome := 3;
        wait := greatest(1, extract(epoch FROM full_again + period * micro - quota_window - start) * 1000000);
      END IF;
    END IF;
    ahead := greatest(0, extract(epoch FROM full_again - start) * 1000000);
  END IF;

  clock := extract(epoch FROM clock_timestamp()) * 1000000;
  IF outcome = 0 AND deadline > 0 AND clock > deadline THEN
    outcome := 4;
  END IF;
  IF outcome >= 3 THEN
    -- Keys that the claimant held before this call stay claimed.
    DELETE FROM {table} d WHERE d.key = ANY(keys) AND d.key <> ALL(own) AND d.claimant = holder;
  END IF;
END $$;

-- Finishes all keys of a delivery, each for its lifetime in microseconds. Fails, and so aborts the transaction, if
-- another request has claimed the delivery (WH001) or finished it (WH002). patience: as above; 0 is for a call inside
-- the application's transaction, and leaves its lock_timeout.
CREATE OR REPLACE FUNCTION {commit}(
  keys bytea[], sender text, holder bytea, lifetimes bigint[], patience bigint, must_hold boolean
) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
  micro CONSTANT interval := '1 microsecond';
  is_finished boolean;
BEGIN
  IF patience > 0 THEN
    PERFORM {require_own_tx}();
    PERFORM set_config('lock_timeout', patience::text, true);
  END IF;
  FOR n IN 1 .. cardinality(keys) LOOP
    IF must_hold THEN
      UPDATE {table} d SET claimant = NULL, expires_at = clock_timestamp() + lifetimes[n] * micro
        WHERE d.key = keys[n] AND d.claimant = holder;
    ELSE
      INSERT INTO {table} AS d (key, webhook_id, claimant, expires_at)
        VALUES (keys[n], sender, NULL, clock_timestamp() + lifetimes[n] * micro)
        ON CONFLICT (key) DO UPDATE SET claimant = NULL, expires_at = EXCLUDED.expires_at
        WHERE d.claimant = holder OR d.expires_at <= clock_timestamp();
    END IF;
    IF NOT FOUND THEN
      SELECT d.claimant IS NULL AND d.expires_at > clock_timestamp() INTO is_finished FROM {table} d
        WHERE d.key = keys[n];
      IF is_finished THEN
        RAISE EXCEPTION 'the webhook delivery is already finished' USING ERRCODE = 'WH002';
      END IF;
      RAISE EXCEPTION 'the claim on the webhook delivery is lost' USING ERRCODE = 'WH001';
    END IF;
  END LOOP;
END $$;

-- Releases claims: each key with its claimant. Returns how many of them were still claimed.
CREATE OR REPLACE FUNCTION {release}(keys bytea[], holders bytea[], patience bigint) RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
  released bigint;
BEGIN
  PERFORM {require_own_tx}();
  PERFORM set_config('lock_timeout', patience::text, true);
  DELETE FROM {table} d USING unnest(keys, holders) AS claims (key, holder)
    WHERE d.key = claims.key AND d.claimant = claims.holder AND d.expires_at > clock_timestamp();
  GET DIAGNOSTICS released = ROW_COUNT;
  RETURN released;
END $$;

-- Removes a finished delivery's row. Returns how many there were.
CREATE OR REPLACE FUNCTION {forget}(one_key bytea) RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
  forgotten bigint;
BEGIN
  PERFORM {require_own_tx}();
  DELETE FROM {table} d WHERE d.key = one_key AND d.claimant IS NULL AND d.expires_at > clock_timestamp();
  GET DIAGNOSTICS forgotten = ROW_COUNT;
  RETURN forgotten;
END $$;

-- Removes at most `batch` expired rows of each table, the oldest first. Rows that are locked are left for later.
-- Returns the larger of the two counts.
CREATE OR REPLACE FUNCTION {sweep}(batch bigint) RETURNS bigint LANGUAGE plpgsql
-- Only a scan of the index in its order stops after one batch.
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
  cutoff CONSTANT timestamptz := clock_timestamp();
  deliveries bigint;
  quotas bigint;
BEGIN
  PERFORM {require_own_tx}();
  DELETE FROM {table} WHERE key = ANY (ARRAY(
    SELECT d.key FROM {table} d WHERE d.expires_at <= cutoff
      -- A handler that is late can still commit its claim.
      AND (d.claimant IS NULL OR d.expires_at <= cutoff - interval '1 hour')
    ORDER BY d.expires_at LIMIT batch FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS deliveries = ROW_COUNT;
  DELETE FROM {quotas} WHERE key = ANY (ARRAY(
    SELECT q.key FROM {quotas} q WHERE q.full_at <= cutoff ORDER BY q.full_at LIMIT batch FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS quotas = ROW_COUNT;
  RETURN greatest(deliveries, quotas);
END $$;
