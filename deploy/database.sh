#!/bin/sh
# A Postgres of this project's own under results/database, on the loopback interface. Needs initdb
# and postgres on the path (Debian: /usr/lib/postgresql/*/bin) and refuses to run as root.
set -eu
folder=${POSTGRES_FOLDER:-$CHIRALSCREEN_RESULTS/database}
if [ ! -f "$folder/PG_VERSION" ]; then
  mkdir -p "$folder"
  secret=$(mktemp)
  printf '%s\n' "$POSTGRES_PASSWORD" > "$secret"
  initdb --pgdata "$folder" --username "$POSTGRES_USER" --pwfile "$secret" \
    --auth scram-sha-256 --encoding UTF8 --locale C > /dev/null
  rm "$secret"
fi
if [ ! -f "$folder/named" ]; then
  echo "CREATE DATABASE \"$POSTGRES_DB\";" | postgres --single -D "$folder" postgres > /dev/null
  touch "$folder/named"
fi
exec postgres -D "$folder" -c listen_addresses=127.0.0.1 -c port="${POSTGRES_PORT:-5432}" \
  -c unix_socket_directories="$folder"
