# Sourced by `run` and `tempest`, not run: where things are, and what must be installed before a test can begin.
# It expects `here`, the folder it is in, and sets `repo`, `state` and `python`.

repo=$(cd "$here/../.." && pwd)
state=${PORTICO_INTEROP_DIR:-$repo/target/interop}
mkdir -p "$state"
state=$(cd "$state" && pwd)

say() { printf 'interop: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

# A Debian Python can lack the module that puts pip into an environment; it comes as a package of its own.
can_make_environments() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# installer: uv, in an environment of its own. uv is installed once, and anew when its version changes.
installer() {
  local venv=$state/uv-venv file=$here/requirements-uv.txt digest
  digest=$({ "$python" -VV; cat "$file"; } | sha256sum | cut -d' ' -f1)
  if [ "$(cat "$venv/.installed" 2>/dev/null)" != "$digest" ]; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$file"
    echo "$digest" >"$venv/.installed"
  fi
  printf '%s\n' "$venv/bin/uv"
}

# install NAME FILE...: a virtual environment with exactly what the files say. A stamp keeps the digest of the
# files, so a second run does nothing, and an interrupted or outdated installation is made anew.
# What a site has set for pip, its mirror and its certificates, holds for uv too. uv keeps nothing between environments,
# because what it keeps it links to, and some files are changed here.
install() {
  local name=$1 venv=$state/$1 digest arguments=() file uv index
  shift
  digest=$({ "$python" -VV; cat "$@"; } | sha256sum | cut -d' ' -f1)
  if [ "$(cat "$venv/.installed" 2>/dev/null)" = "$digest" ]; then return; fi
  say "installing $name ..."
  uv=$(installer)
  rm -rf "$venv"
  "$uv" venv --quiet --no-config --python "$python" "$venv"
  for file in "$@"; do arguments+=(-r "$file"); done
  index=$("$python" -m pip config get global.index-url 2>/dev/null || true)
  index=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$index}}
  UV_DEFAULT_INDEX=$index "$uv" pip install --quiet --no-config --no-cache --native-tls --python "$venv/bin/python" \
    "${arguments[@]}"
  case $name in
    glance-venv | keystone-venv | nova-venv) let_sqlite_wait "$venv" ;;
    tempest-venv) stay_on_loopback "$venv" ;;
  esac
  echo "$digest" >"$venv/.installed"
}

# find_old_python: a Python 2.7: PYTHON27, or one that is found. Few machines have one, so that what needs it is skipped
# without, and says so. The program that a shim of pyenv leads to may not be there, so each one is asked.
find_old_python() {
  local candidate
  for candidate in "${PYTHON27:-}" python2.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7*/bin/python2.7; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

# install_old NAME FILE PYTHON: as `install`, for a Python 2.7.
install_old() {
  local venv=$state/$1 file=$2 old_python=$3 digest
  digest=$({ "$old_python" -VV 2>&1; cat "$file"; } | sha256sum | cut -d' ' -f1)
  if [ "$(cat "$venv/.installed" 2>/dev/null)" = "$digest" ]; then return; fi
  install virtualenv-venv "$here/requirements-virtualenv.txt"
  say "installing $1 ..."
  rm -rf "$venv"
  "$state/virtualenv-venv/bin/virtualenv" --quiet --python "$old_python" "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-python-version-warning -r "$file"
  echo "$digest" >"$venv/.installed"
}

# Two threads that begin to read in SQLite and then both want to write end in "database is locked", no matter
# how long they may wait. Taking the write lock at the beginning makes the second wait instead.
let_sqlite_wait() {
  "$1/bin/python" - <<'PYTHON'
import importlib.util
import pathlib

engines = pathlib.Path(importlib.util.find_spec("oslo_db").origin).parent / "sqlalchemy" / "engines.py"
deferred, immediate = 'text("BEGIN")', 'text("BEGIN IMMEDIATE")'
source = engines.read_text()
if source.count(deferred) != 1:
    raise SystemExit(f"oslo.db begins its transactions in another way than expected: {engines}")
engines.write_text(source.replace(deferred, immediate))
PYTHON
}

# One of Tempest's tests serves its data on the address that this machine has towards the internet, which need not
# exist, and would let others in. Everything here stays on loopback, which the services under test are told to allow.
stay_on_loopback() {
  "$1/bin/python" - <<'PYTHON'
import importlib.util
import pathlib

image = pathlib.Path(importlib.util.find_spec("tempest").origin).parent / "common" / "image.py"
source = image.read_text()
for there, here in (("'1.1.1.1'", "'127.0.0.1'"), ("addr.is_loopback or ", "")):
    if source.count(there) != 1:
        raise SystemExit(f"Tempest finds the address of its data in another way than expected: {image}")
    source = source.replace(there, here)
image.write_text(source)
PYTHON
}

# install_packages PACKAGE...: Debian packages. Debian starts a server when it is installed; whatever
# this machine lets start by itself, we only want the program. Fails if they cannot be had.
install_packages() {
  local policy=/usr/sbin/policy-rc.d ours=no done=0
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  say "installing the Debian packages $* ..."
  if [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"; } >&2 || done=$?
  if [ "$ours" = yes ]; then rm -f "$policy"; fi
  return "$done"
}

# build_portico: PORTICO_BIN, built if it is not given.
build_portico() {
  local built
  if [ -z "${PORTICO_BIN:-}" ]; then
    say "building Portico ..."
    (cd "$repo" && cargo build --release --locked --bin portico) >&2
    built=${CARGO_TARGET_DIR:-$repo/target}
    PORTICO_BIN=$(cd "$repo" && cd "$built" && pwd)/release/portico
  fi
  [ -x "$PORTICO_BIN" ] || die "no program at $PORTICO_BIN"
  PORTICO_BIN=$(cd "$(dirname "$PORTICO_BIN")" && pwd)/$(basename "$PORTICO_BIN")
  export PORTICO_BIN
}

exec 9>"$state/lock"
flock -n 9 || die "another run uses $state; set PORTICO_INTEROP_DIR to a place of its own"

python=$(find_python) || die "Python 3.11 or newer is needed; set PYTHON to one"
if ! can_make_environments "$python"; then
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || die "$python cannot make virtual environments (python3-venv)"
  say "installing the Debian package python3-venv ..."
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv; } >&2
fi

if ! command -v qemu-img >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  say "installing the Debian package qemu-utils ..."
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends qemu-utils; } >&2 ||
    say "it cannot be had: the tests of disk formats will be skipped, and say so"
fi

glance_files=("$here/requirements-glance.txt")
keystone_files=("$here/requirements-keystone.txt")
headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
if [ -f "$headers" ] && command -v cc >/dev/null; then
  glance_files+=("$here/requirements-uwsgi.txt")
  keystone_files+=("$here/requirements-uwsgi.txt")
else
  say "no Python headers or C compiler: everything will run under gunicorn, nothing under uWSGI"
fi
install glance-venv "${glance_files[@]}"
install keystone-venv "${keystone_files[@]}"
