-- Servers need no rights to write: the function writes with those of its owner. So a server's role can append
-- messages and read them, but neither change nor remove what is committed, nor move a counter.
--
-- The path is fixed, and temporary tables come last in it: a caller could otherwise put tables of its own, with
-- triggers, in the way of a function that has the owner's rights.
DO $$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION append_messages(text[], text[], uuid[], uuid[], text[], bigint[], text[])
         SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END
$$;

REVOKE ALL ON FUNCTION append_messages(text[], text[], uuid[], uuid[], text[], bigint[], text[]) FROM PUBLIC;
