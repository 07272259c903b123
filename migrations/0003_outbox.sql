-- What is committed and not yet with the broker, for brokers that are fed by a relay. A row stands for a message; the relay
-- removes it once the broker has acknowledged.
--
-- Positions are drawn while the channel's counter is locked, so within a channel they have the order of its numbers, and
-- whoever sees one sees those before it. Across channels they become visible out of order: a reader must take the
-- oldest rows that are there, never those after the last one that it saw.
CREATE TABLE outbox (
    position     bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel      text COLLATE "C" NOT NULL,
    seq          bigint           NOT NULL,
    accepted_us  bigint           NOT NULL,
    queued_us    bigint           NOT NULL,
    -- By the clock of PostgreSQL, at the insert: a little before the COMMIT, whose time no row can hold.
    committed_us bigint           NOT NULL
) WITH (
    -- Nearly all of its rows are dead ones, which every look at the oldest has to pass.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000
);

-- As append_messages, and puts what is new into the outbox, in the same transaction and the same round trip. A repeat
-- gets no row: that of the first one is still there, or was sent.
CREATE FUNCTION append_messages_to_outbox(
    channels text[], senders text[], client_message_ids uuid[], ids uuid[], bodies text[],
    accepted_ats_ms bigint[], traceparents text[], accepteds_us bigint[], queueds_us bigint[]
) RETURNS TABLE (seq bigint, id uuid, accepted_at_ms bigint, repeated boolean, conflict boolean)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH placed AS (
        SELECT answer.*
        FROM append_messages(channels, senders, client_message_ids, ids, bodies, accepted_ats_ms, traceparents)
             WITH ORDINALITY AS answer (seq, id, accepted_at_ms, repeated, conflict, ord)
    ),
    queued AS (
        INSERT INTO outbox (channel, seq, accepted_us, queued_us, committed_us)
        SELECT channels[p.ord], p.seq, accepteds_us[p.ord], queueds_us[p.ord],
               (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
        FROM placed p
        WHERE NOT p.repeated
        ORDER BY p.ord
    )
    SELECT p.seq, p.id, p.accepted_at_ms, p.repeated, p.conflict FROM placed p ORDER BY p.ord;
END
$$;

-- What the relay has sent. A row that is gone already is none.
CREATE FUNCTION remove_from_outbox(sent bigint[]) RETURNS void
LANGUAGE sql VOLATILE
AS $$
    DELETE FROM outbox WHERE position = ANY (sent);
$$;

-- As append_messages: servers have the right to call them and none to write to the table.
DO $$
DECLARE
    signature text;
BEGIN
    FOREACH signature IN ARRAY ARRAY[
        'append_messages_to_outbox(text[], text[], uuid[], uuid[], text[], bigint[], text[], bigint[], bigint[])',
        'remove_from_outbox(bigint[])'
    ] LOOP
        EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = %I, pg_temp',
                       signature, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', signature);
    END LOOP;
END
$$;
