#!/bin/sh
# Make what compose.yaml wants in ./secrets: random keys and passwords, and empty files for keys and tokens of others.
#
#   sh deploy/compose/secrets.sh        makes what is not there yet, changes nothing else
#
# The folder is yours alone (0700), so that nobody else on this machine gets to the files; the files
# themselves can be read by any user, because a container's user (10001) reads them through a mount.
set -eu
cd "$(dirname "$0")"

mkdir -p secrets
chmod 0700 secrets

random() {
    # 32 random bytes, in letters and digits that need no quoting in a URL.
    head -c 48 /dev/urandom | base64 | tr -d '+/=\n' | cut -c 1-43
}

keep() { # keep NAME VALUE
    if [ ! -e "secrets/$1" ]; then
        printf '%s\n' "$2" >"secrets/$1"
        chmod 0444 "secrets/$1"
        echo "made secrets/$1"
    fi
}

keep PERSONAE_ADMIN_KEY "$(random)"
# The gateway asks for it: its port may be opened to others later.
keep PERSONAE_API_KEY "$(random)"
keep POSTGRES_PASSWORD "$(random)"
keep GRAFANA_PASSWORD "$(random)"
keep PERSONAE_DATABASE_URL "postgresql://personae:$(cat secrets/POSTGRES_PASSWORD)@postgres:5432/personae"

for token in DISCORD_TOKEN SLACK_BOT_TOKEN SLACK_APP_TOKEN PERSONAE_ENGINE_KEY PERSONAE_SYNTHESIS_KEY HF_TOKEN \
    AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; do
    if [ ! -e "secrets/$token" ]; then
        : >"secrets/$token"
        chmod 0644 "secrets/$token"
        echo "made secrets/$token, empty: put it in when you need it"
    fi
done
