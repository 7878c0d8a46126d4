# shellcheck shell=bash
# How backup.sh and restore.sh find the database and speak with it. Read by them with `.`.

# PERSONAE_DATABASE_URL, of the environment or of its file.
database_url() {
    if [ -n "${PERSONAE_DATABASE_URL:-}" ]; then
        printf '%s' "$PERSONAE_DATABASE_URL"
    elif [ -n "${PERSONAE_DATABASE_URL_FILE:-}" ]; then
        cat "$PERSONAE_DATABASE_URL_FILE"
    elif [ -n "${PERSONAE_SECRETS:-}" ] && [ -r "$PERSONAE_SECRETS/PERSONAE_DATABASE_URL" ]; then
        cat "$PERSONAE_SECRETS/PERSONAE_DATABASE_URL"
    fi
}

# Sets `address`, which PostgreSQL's programs take, and PGPASSWORD: arguments can be seen by everybody (ps),
# so the password is not among them.
# shellcheck disable=SC2034  # address is read by who calls it
connect_to() {
    local rest=${1#*://} authority user password
    authority=${rest%%[/?]*}
    address=postgresql://$rest
    if [[ $authority == *:*@* ]]; then
        user=${authority%%:*}
        password=${authority#*:}
        password=${password%@*}
        address=postgresql://$user@${authority##*@}${rest#"$authority"}
        # An address writes some characters as %2F and so on.
        PGPASSWORD=$(printf '%b' "${password//%/\\x}")
        export PGPASSWORD
    fi
}
