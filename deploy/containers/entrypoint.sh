#!/bin/sh
# What a container starts.
#
#   gateway [arguments of `personae up`]   the gateway and, if no [engine] url is set, vLLM as its child
#   discord | slack                        a bot
#   anything else                          is run as it is: `personae doctor`, `personae train run ada`
#
# It becomes the program (exec), so signals reach it: SIGTERM lets answers end before anything stops.
set -eu

home=${PERSONAE_HOME:?PERSONAE_HOME must name the volume that keeps the state}

need_home() {
    if ! (umask 077 && : >"$home/.writable") 2>/dev/null; then
        echo "Error: $home can't be written by user $(id -u). Give the volume to this user" >&2
        echo "(docker: a named volume of this image; Kubernetes: fsGroup: $(id -g)), or start the" >&2
        echo "container as the user who owns it." >&2
        exit 2
    fi
    rm -f "$home/.writable"
}

case ${1:-gateway} in
gateway)
    [ $# -eq 0 ] || shift
    need_home
    # Inside a container only its network reaches this; who publishes the port decides who else does.
    exec personae up --no-bots --host 0.0.0.0 --port 8420 "$@"
    ;;
discord)
    exec python -m bot.on_discord
    ;;
slack)
    exec python -m bot.on_slack
    ;;
*)
    exec "$@"
    ;;
esac
