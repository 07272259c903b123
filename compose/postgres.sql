-- Run once, when the database is created. Neither the servers nor the exporter need a superuser.

\getenv hopline_password HOPLINE_PASSWORD
\getenv exporter_password EXPORTER_PASSWORD

CREATE ROLE hopline LOGIN PASSWORD :'hopline_password';
CREATE DATABASE hopline OWNER hopline;

CREATE ROLE exporter LOGIN PASSWORD :'exporter_password' CONNECTION LIMIT 5;
GRANT pg_monitor TO exporter;
