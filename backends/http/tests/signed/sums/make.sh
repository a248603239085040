#!/usr/bin/env bash
# Makes the key and the signed checksum files in this directory, with GnuPG. They are kept, so that tests need no GnuPG;
# the private keys are not.
set -euo pipefail
cd "$(dirname "$0")"
find . -type f ! -name make.sh -delete
GNUPGHOME="$(mktemp -d)"
export GNUPGHOME
trap 'gpgconf --kill gpg-agent; rm -rf "$GNUPGHOME"' EXIT
gpg_at() { gpg --batch --quiet --pinentry-mode loopback --passphrase '' --no-auto-check-trustdb --faked-system-time "$@" 2>/dev/null; }
# Only an RSA key signs what is hashed by SHA-1.
for name in mirror stranger; do
  gpg_at 20240101T000000 --quick-generate-key "$name <$name@keys.example>" rsa3072 cert,sign never
done
gpg --armor --export mirror > mirror.asc 2>/dev/null

digest=$(printf signed-image | sha256sum | cut -d' ' -f1)
printf '%s  signed.img\n' "$digest" > SHA256SUMS
printf '# signed.img: 12 bytes\nSHA256 (signed.img) = %s\n' "$digest" > CHECKSUM
sign() { gpg_at 20240102T000000 --local-user "$@"; }
sign mirror --detach-sign --output binary.gpg SHA256SUMS
sign mirror --detach-sign --armor --output armoured.asc SHA256SUMS
sign mirror --detach-sign --armor --textmode --output text.sign SHA256SUMS
sign mirror --clearsign --output CHECKSUM.signed CHECKSUM
sign mirror --clearsign --output SHA256SUMS.signed SHA256SUMS
sign stranger --detach-sign --output stranger.gpg SHA256SUMS
sign stranger --clearsign --output CHECKSUM.stranger CHECKSUM
sign mirror --detach-sign --digest-algo SHA1 --output weak.gpg SHA256SUMS
