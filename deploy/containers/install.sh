#!/bin/sh
# Install what one image needs into a folder, from the repository's locks. Runs while an image is built.
#
#   install.sh cpu|gpu|bots PREFIX [PACKAGE LEFT OUT …]     (from the repository's root)
#
# "cpu" and "gpu" install requirements/<that>.txt, which is complete, with --no-deps; "bots" only what
# personae itself needs, at the lock's versions: no PyTorch, no vLLM, no model. TORCH_INDEX is where the
# CPU build of PyTorch comes from; empty means from where pip looks anyway.
set -eu

kind=${1:?say cpu, gpu or bots}
prefix=${2:?say where to install}
shift 2
case $kind in
cpu | gpu | bots) ;;
*)
    echo "install.sh: there is no image \"$kind\"; say cpu, gpu or bots" >&2
    exit 2
    ;;
esac
torch_index=${TORCH_INDEX-https://download.pytorch.org/whl/cpu}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
locked=$work/locked.txt

into() {
    python3 -m pip --python "$prefix" install --no-cache-dir --disable-pip-version-check \
        --no-input --progress-bar off "$@"
}

# A copy, because building leaves folders beside the source.
mkdir "$work/source"
cp -R pyproject.toml README.md personae bot serving training "$work/source"
# The base image's own setuptools builds it: build isolation would fetch another from the network.
python3 -m pip wheel --no-deps --no-build-isolation --no-cache-dir --disable-pip-version-check \
    --quiet --wheel-dir "$work" "$work/source"

# Without pip: nothing is to be installed in a running container.
python3 -m venv --without-pip "$prefix"

case $kind in
cpu | gpu)
    cp "requirements/$kind.txt" "$locked"
    for package in "$@"; do
        grep -q "^$package==" "$locked" || {
            echo "install.sh: $package is not in requirements/$kind.txt; nothing to leave out" >&2
            exit 2
        }
        sed -i "/^$package==/d" "$locked"
    done
    if [ "$kind" = cpu ]; then
        torch=$(grep '^torch==' "$locked")
        sed -i '/^torch==/d' "$locked"
        into --no-deps ${torch_index:+--index-url "$torch_index"} "$torch"
    fi
    into --no-deps -r "$locked"
    into --no-deps "$work"/personae-*.whl
    ;;
bots)
    # A build of PyTorch that only PyTorch's index has must not be a constraint of what needs none.
    grep -v '^torch' requirements/cpu.txt >"$locked"
    into --constraint "$locked" "$work"/personae-*.whl
    ;;
esac
