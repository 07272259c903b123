-- Run once by a superuser, when the database server is created. Everyone gets what they need, and no more:
-- hopline_owner may change the schema (`hopline migrate`), the servers (hopline_server) may call the functions and read
-- the tables that it makes, the exporter may read statistics.

\set owner_password `cat "${HOPLINE_SECRETS:-/run/secrets}/postgres_owner"`
\set server_password `cat "${HOPLINE_SECRETS:-/run/secrets}/postgres_server"`
\set exporter_password `cat "${HOPLINE_SECRETS:-/run/secrets}/postgres_exporter"`

CREATE ROLE hopline_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE hopline_server LOGIN PASSWORD :'server_password';
CREATE ROLE exporter LOGIN PASSWORD :'exporter_password' CONNECTION LIMIT 5;
GRANT pg_monitor TO exporter;

CREATE DATABASE hopline OWNER hopline_owner;
REVOKE ALL ON DATABASE hopline FROM PUBLIC;
GRANT CONNECT ON DATABASE hopline TO hopline_server, exporter;

\connect hopline
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO hopline_server;
-- For what the owner will make.
ALTER DEFAULT PRIVILEGES FOR ROLE hopline_owner IN SCHEMA public GRANT SELECT ON TABLES TO hopline_server;
ALTER DEFAULT PRIVILEGES FOR ROLE hopline_owner IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO hopline_server;
