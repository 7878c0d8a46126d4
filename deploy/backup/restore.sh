#!/usr/bin/env bash
# Bring a backup of backup.sh back, into an empty home and an empty database, with the server stopped.
#
#   restore.sh BACKUP --home FOLDER [--replace]
#
# Every file is compared with its checksum before anything is written. --replace puts aside what is in the
# home (into FOLDER/.before-<time>; models stay, they need no fetching again) and empties the
# database; without it, a home or a database that holds something is refused. PERSONAE_DATABASE_URL comes
# from the environment or from the folder PERSONAE_SECRETS, and has to be PostgreSQL exactly if the backup is.
# Afterwards `personae up` builds what is missing (indexes), and speaks with the versions that were live.
set -euo pipefail
umask 077

backup=
home=${PERSONAE_HOME:-}
replace=

fail() {
    echo "restore.sh: $1" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --home)
        [ $# -ge 2 ] || fail "--home needs a value"
        home=$2
        shift 2
        ;;
    --replace)
        replace=1
        shift
        ;;
    -*) fail "unknown option $1; the options are --home and --replace" ;;
    *)
        [ -z "$backup" ] || fail "one backup at a time"
        backup=${1%/}
        shift
        ;;
    esac
done
[ -n "$backup" ] || fail "say which backup: restore.sh /backups/personae-20261121T030000Z --home FOLDER"
[ -f "$backup/SHA256SUMS" ] || fail "$backup is no complete backup (it has no SHA256SUMS)"
[ -n "$home" ] || fail "say --home FOLDER"
home=${home%/}

(cd "$backup" && sha256sum --check --quiet --strict SHA256SUMS) ||
    fail "$backup is damaged (the files above); nothing was written. Take another backup"

# shellcheck source=database.sh
. "$(dirname "${BASH_SOURCE[0]}")/database.sh"
url=$(database_url)
tables=0
if [ -f "$backup/database.dump" ]; then
    case $url in postgres*) ;; *) fail "this backup is of PostgreSQL; set PERSONAE_DATABASE_URL" ;; esac
    for program in pg_restore psql; do
        command -v $program >/dev/null || fail "$program is missing (apt install postgresql-client)"
    done
    connect_to "$url"
    tables=$(psql --no-psqlrc --tuples-only --no-align --dbname="$address" --command \
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") || fail "the database can't be reached"
    if [ "$tables" != 0 ] && [ -z "$replace" ]; then
        fail "the database holds $tables tables; restore into an empty one, or say --replace"
    fi
else
    case $url in postgres*) fail "this backup is of SQLite, and PERSONAE_DATABASE_URL names PostgreSQL" ;; esac
fi

# lost+found is a volume's own, and root's.
if [ -d "$home" ] && [ -n "$(find "$home" -mindepth 1 -maxdepth 1 ! -name lost+found)" ]; then
    [ -n "$replace" ] || fail "$home is not empty; restore into an empty folder, or say --replace"
    # A volume's own folder can't be renamed: what is in it moves.
    aside=$home/.before-$(date -u +%Y%m%dT%H%M%SZ)
    mkdir "$aside"
    for entry in "$home"/* "$home"/.[!.]*; do
        case ${entry##*/} in
        models | cache | lost+found | .before-* | '*' | '.[!.]*') continue ;;
        esac
        mv "$entry" "$aside/"
    done
    echo "what was in $home is in $aside now; remove it when all is well"
fi
mkdir -p "$home"

cp -a "$backup/home/." "$home/"
for database in state.db bots.db; do
    if [ -f "$backup/$database" ]; then
        cp -p "$backup/$database" "$home/$database"
    fi
done
if [ -f "$backup/database.dump" ]; then
    # One transaction: the database is as before, or restored.
    sql=$(mktemp)
    trap 'rm -f "$sql"' EXIT
    if [ "$tables" != 0 ]; then
        echo 'DROP SCHEMA public CASCADE; CREATE SCHEMA public;' >"$sql"
    fi
    pg_restore --no-owner --no-privileges --file=- "$backup/database.dump" >>"$sql"
    psql --no-psqlrc --quiet --single-transaction --set ON_ERROR_STOP=1 --output /dev/null \
        --dbname="$address" --file="$sql" ||
        fail "the database could not be restored and is as it was; the files are in $home"
fi
if [ -f "$backup/personae.toml" ]; then
    echo "its configuration is $backup/personae.toml; compare it with yours"
fi
echo "restored $(basename "$backup") into $home"
