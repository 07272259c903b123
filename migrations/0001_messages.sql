-- A channel's row is its counter. Whoever holds its lock hands out the next numbers and commits before
-- anyone else can, so numbers become visible in order: who sees n can read every number below n.
CREATE TABLE channels (
    name     text COLLATE "C" PRIMARY KEY,
    last_seq bigint NOT NULL CHECK (last_seq >= 0)
) WITH (fillfactor = 50); -- Room for HOT updates: this row changes with every batch.

CREATE TABLE messages (
    channel           text COLLATE "C" NOT NULL,
    seq               bigint           NOT NULL CHECK (seq > 0),
    id                uuid             NOT NULL,
    sender            text COLLATE "C" NOT NULL,
    client_message_id uuid             NOT NULL,
    body              text             NOT NULL,
    accepted_at_ms    bigint           NOT NULL,
    traceparent       text,
    PRIMARY KEY (channel, seq),
    -- The last guard of idempotency. Not global: a client could otherwise swallow another one's message.
    UNIQUE (channel, sender, client_message_id)
);

-- Appends a batch that may span many channels and answers in the order of the input.
--
-- The counters are locked first, in one order, so that two servers can't deadlock. What a retry sent before
-- is looked up by a second statement: under READ COMMITTED only that one sees a message that was committed
-- while the first one waited for a lock. Numbers reserved for repeats are given back before COMMIT, while the
-- lock still keeps everyone else from taking a number, so that no gap appears.
--
-- A repeat gets the seq, id and time of the stored message; `conflict` says that its body is another one.
CREATE FUNCTION append_messages(
    channels text[], senders text[], client_message_ids uuid[], ids uuid[], bodies text[],
    accepted_ats_ms bigint[], traceparents text[]
) RETURNS TABLE (seq bigint, id uuid, accepted_at_ms bigint, repeated boolean, conflict boolean)
LANGUAGE plpgsql VOLATILE
-- The planner has no statistics of a fresh table and would scan it, and custom plans cost more than they gain.
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO channels AS counter (name, last_seq)
    SELECT wanted.name, count(*)
    FROM unnest(channels) AS wanted (name)
    GROUP BY wanted.name
    ORDER BY wanted.name COLLATE "C"
    ON CONFLICT (name) DO UPDATE SET last_seq = counter.last_seq + excluded.last_seq;

    RETURN QUERY
    WITH input AS (
        SELECT draft.*, stored.seq AS stored_seq, stored.id AS stored_id,
               stored.accepted_at_ms AS stored_at_ms, stored.body AS stored_body,
               min(draft.ord) OVER (PARTITION BY draft.channel, draft.sender, draft.client_message_id) AS first_ord
        FROM unnest(channels, senders, client_message_ids) WITH ORDINALITY
             AS draft (channel, sender, client_message_id, ord)
        LEFT JOIN LATERAL (
            SELECT m.seq, m.id, m.accepted_at_ms, m.body
            FROM messages m
            WHERE m.channel = draft.channel AND m.sender = draft.sender
              AND m.client_message_id = draft.client_message_id
            LIMIT 1
        ) stored ON true
    ),
    marked AS (
        SELECT input.*, stored_seq IS NULL AND ord = first_ord AS fresh FROM input
    ),
    counted AS (
        SELECT marked.*,
               count(*) OVER (PARTITION BY channel) AS reserved,
               count(*) FILTER (WHERE fresh) OVER (PARTITION BY channel ORDER BY ord) AS nth
        FROM marked
    ),
    placed AS (
        SELECT counted.*, counter.last_seq - counted.reserved + counted.nth AS new_seq
        FROM counted JOIN channels counter ON counter.name = counted.channel
    ),
    given_back AS (
        UPDATE channels counter SET last_seq = counter.last_seq - unused.numbers
        FROM (SELECT channel, count(*) AS numbers FROM placed WHERE NOT fresh GROUP BY channel) unused
        WHERE counter.name = unused.channel
    ),
    inserted AS (
        INSERT INTO messages (channel, seq, id, sender, client_message_id, body, accepted_at_ms, traceparent)
        SELECT p.channel, p.new_seq, ids[p.ord], p.sender, p.client_message_id, bodies[p.ord],
               accepted_ats_ms[p.ord], traceparents[p.ord]
        FROM placed p
        WHERE p.fresh
    )
    SELECT coalesce(p.stored_seq, first_value(p.new_seq) OVER same_id),
           coalesce(p.stored_id, ids[p.first_ord]),
           coalesce(p.stored_at_ms, accepted_ats_ms[p.first_ord]),
           NOT p.fresh,
           NOT p.fresh AND coalesce(p.stored_body, bodies[p.first_ord]) <> bodies[p.ord]
    FROM placed p
    WINDOW same_id AS (PARTITION BY p.channel, p.sender, p.client_message_id ORDER BY p.ord)
    ORDER BY p.ord;
END
$$;
