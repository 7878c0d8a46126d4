#!/usr/bin/env bash
# One backup of a personae server, while it runs: databases first, then files.
#
#   backup.sh --home FOLDER --to FOLDER [--config personae.toml] [--keep 14] [--with "indexes runs models"]
#
# In the folder named by --to:
#   personae-20261121T030000Z/        complete, because it got its name last
#       database.dump                 PostgreSQL (pg_dump, custom format), if PERSONAE_DATABASE_URL is set
#       state.db, bots.db             SQLite otherwise
#       home/adapters, home/cast, …   versions of voices, personas made here, corpora, feedback, the admin key
#       personae.toml, SHA256SUMS
#
# Not in it, because it is made again by itself: models (fetched), indexes (built), variants, caches, logs;
# and unfinished training runs. --with takes them along. Files that did not change since the backup
# before are hard links to it, so fourteen days of adapters take little more than one.
# PERSONAE_DATABASE_URL comes from the environment or from the folder PERSONAE_SECRETS. How to bring a backup
# back: restore.sh beside this file, and docs/operate.md.
set -euo pipefail
umask 077

home=${PERSONAE_HOME:-}
to=${BACKUP_FOLDER:-}
config=
keep=${BACKUP_KEEP:-14}
with=${BACKUP_WITH:-}

fail() {
    echo "backup.sh: $1" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --home | --to | --config | --keep | --with)
        [ $# -ge 2 ] || fail "$1 needs a value"
        case $1 in
        --home) home=$2 ;;
        --to) to=$2 ;;
        --config) config=$2 ;;
        --keep) keep=$2 ;;
        --with) with=$2 ;;
        esac
        shift 2
        ;;
    *) fail "unknown option $1; the options are --home, --to, --config, --keep and --with" ;;
    esac
done
[ -d "${home:?say --home FOLDER, the PERSONAE_HOME of the server}" ] || fail "there is no folder $home"
[ -n "$to" ] || fail "say --to FOLDER"
case $keep in *[!0-9]* | '' | 0*) fail "--keep is a number of backups, at least 1" ;; esac
mkdir -p "$to"

# shellcheck source=database.sh
. "$(dirname "${BASH_SOURCE[0]}")/database.sh"
url=$(database_url)

# Two at once would both call the same backup the one before.
if ! mkdir "$to/.lock" 2>/dev/null; then
    fail "another backup is being made in $to (if it was killed: rmdir $to/.lock)"
fi
name=personae-$(date -u +%Y%m%dT%H%M%SZ)
partial=$to/.$name.partial
trap 'rm -rf "$partial"; rmdir "$to/.lock"' EXIT
trap 'exit 130' INT TERM
rm -rf "$to"/.personae-*.partial
mkdir "$partial" "$partial/home"

# The newest complete one, for the links.
before=
for folder in "$to"/personae-*Z; do
    [ -d "$folder" ] && before=$folder
done

copy_sqlite() { # by SQLite's own backup, which a running server does not disturb
    if command -v sqlite3 >/dev/null; then
        sqlite3 -cmd '.timeout 30000' "$1" ".backup '$2'"
    elif command -v python3 >/dev/null; then
        python3 -c 'import sqlite3, sys
a, b = sqlite3.connect(sys.argv[1], timeout=30), sqlite3.connect(sys.argv[2])
a.backup(b)
b.close()' "$1" "$2"
    else
        fail "an SQLite database is to be backed up; that needs sqlite3 (apt install sqlite3) or python3"
    fi
}

# First what points (which version is live), then what is pointed to: versions are only ever added.
case $url in
postgres*)
    command -v pg_dump >/dev/null || fail "pg_dump is missing (apt install postgresql-client)"
    connect_to "$url"
    pg_dump --format=custom --no-owner --no-privileges --lock-wait-timeout=60s \
        --file="$partial/database.dump" --dbname="$address" ||
        fail "the database could not be dumped; the lines above say why"
    ;;
'' | sqlite*)
    for database in state.db bots.db; do
        if [ -f "$home/$database" ]; then
            copy_sqlite "$home/$database" "$partial/$database"
        fi
    done
    ;;
*) fail "PERSONAE_DATABASE_URL is neither PostgreSQL nor SQLite" ;;
esac

copy_folder() { # $1 below home, with links to the backup before for what is the same
    if [ -n "$before" ] && [ -d "$before/home/$1" ]; then
        cp -al "$before/home/$1" "$partial/home/$1" 2>/dev/null || rm -rf "${partial:?}/home/$1"
    fi
    mkdir -p "$partial/home/$1"
    (cd "$home/$1" && find . -type f ! -path '*/.*') >"$partial/.now"
    # Gone since: out. A dot at the beginning of a name means half-written: left alone.
    (cd "$partial/home/$1" && find . -type f) | while IFS= read -r file; do
        [ -f "$home/$1/$file" ] || rm -f "$partial/home/$1/$file"
    done
    while IFS= read -r file; do
        target=$partial/home/$1/$file
        if [ -f "$target" ] && [ ! "$home/$1/$file" -nt "$target" ] && cmp -s "$home/$1/$file" "$target"; then
            continue
        fi
        mkdir -p "$(dirname "$target")"
        # Never through a link, which would change the backup before.
        rm -f "$target"
        cp -p "$home/$1/$file" "$target" || {
            [ ! -f "$home/$1/$file" ] || fail "$home/$1/$file can't be copied"
        }
    done <"$partial/.now"
    rm -f "$partial/.now"
    find "$partial/home/$1" -depth -type d -empty -delete
}

# shellcheck disable=SC2086
for folder in adapters cast removed corpora feedback $with; do
    if [ -d "$home/$folder" ]; then
        copy_folder "$folder"
    fi
done
for file in admin.key discord-commands.json; do
    if [ -f "$home/$file" ]; then
        cp -p "$home/$file" "$partial/home/$file"
    fi
done
if [ -n "$config" ] && [ -f "$config" ]; then
    cp -p "$config" "$partial/personae.toml"
fi

(cd "$partial" && find . -type f ! -name SHA256SUMS -exec sha256sum {} +) >"$to/.sums"
mv "$to/.sums" "$partial/SHA256SUMS"
sync
mv "$partial" "$to/$name"

# The oldest go.
find "$to" -maxdepth 1 -type d -name 'personae-*Z' | sort -r | tail -n "+$((keep + 1))" |
    while IFS= read -r folder; do
        rm -rf "$folder"
    done
echo "$to/$name"
