#!/usr/bin/env bash
# Makes the keys and the signed documents in this directory, with GnuPG. They are kept, so that tests need no GnuPG; the
# private keys are not.
set -euo pipefail
cd "$(dirname "$0")"
rm -f ./*.asc ./*.gpg ./*.sjson
GNUPGHOME="$(mktemp -d)"
export GNUPGHOME
trap 'gpgconf --kill gpg-agent; rm -rf "$GNUPGHOME"' EXIT
# All of it was made long ago, whatever the clock of a machine says that it is tested on.
BEGAN=20240101T000000
LATER=20240102T000000
gpg_at() { gpg --batch --quiet --pinentry-mode loopback --passphrase '' --no-auto-check-trustdb --faked-system-time "$@" 2>/dev/null; }
quiet() { gpg_at "$BEGAN" "$@"; }
of() { echo "$1 <$1@mirror.example>"; }

quiet --quick-generate-key "$(of good)" rsa3072 cert,sign never
quiet --quick-generate-key "$(of other)" ed25519 sign never
quiet --quick-generate-key "$(of dated)" ed25519 sign never
quiet --quick-generate-key "$(of revoked)" ed25519 sign never
quiet --quick-generate-key "$(of subkey)" ed25519 cert never
quiet --quick-add-key "$(gpg --list-keys --with-colons subkey 2>/dev/null | awk -F: '/^fpr/ { print $10; exit }')" ed25519 sign never
gpg_at 20200101T000000 --quick-generate-key "$(of expired)" ed25519 sign 1y
# A key for encryption and certification alone: what it is not for, it must not do. GnuPG signs with it if it is told to
# while it may, so the right is taken away afterwards.
quiet --quick-generate-key "$(of certifier)" ed25519 cert,sign never

index='{"format":"index:1.0","index":{"com.example:signed:download":{"datatype":"image-downloads","format":"products:1.0","path":"streams/v1/signed.json"}}}'
data=signed-image
products='{
 "content_id": "com.example:signed:download",
 "format": "products:1.0",
 "products": {
  "com.example:server:24.04:arm64": {"arch": "arm64", "os": "example", "version": "24.04", "versions": {"20240423": {"pubname": "signed", "items": {"disk1.img": {
   "ftype": "disk1.img", "path": "signed.img", "size": '"${#data}"', "sha256": "'"$(printf %s "$data" | sha256sum | cut -d' ' -f1)"'"}}}}}
 }
}'
sign() { gpg_at "${AT:-$LATER}" "${@:2}" --local-user "$1" --clearsign; }
for by in good other revoked subkey certifier; do printf '%s\n' "$index" | sign "$by" > "index.$by.sjson"; done
printf '%s\n' "$index" | AT=20200601T000000 sign expired > index.expired.sjson
printf '%s\n' "$index" | sign good --digest-algo SHA1 > index.weak.sjson
printf '%s\n' "$index" | sign good --default-sig-expire 1d > index.late.sjson
printf '%s\n' "$products" | sign good > products.good.sjson
# The same index at two times, and a stream whose image has another name at each.
for at in 20240102 20240105; do
  printf '%s\n' "$index" | AT="${at}T000000" sign dated > "index.$at.sjson"
  printf '%s\n' "${products/signed\", \"items/$at\", \"items}" | AT="${at}T000000" sign dated > "products.$at.sjson"
done
printf '[signed-1]\narch=x86_64\nfile=signed.img\nsize=%d\nchecksum[sha512]=%s\n' "${#data}" "$(printf %s "$data" | sha512sum | cut -d' ' -f1)" \
  | sign good > virt-builder.asc

rev="$GNUPGHOME/openpgp-revocs.d/$(gpg --list-keys --with-colons revoked 2>/dev/null | awk -F: '/^fpr/ { print $10; exit }').rev"
sed -i 's/^:---/---/' "$rev"
gpg_at "$LATER" --import "$rev"
printf 'change-usage\ns\nq\nsave\n' | gpg_at 20240103T000000 --command-fd 0 --edit-key certifier >/dev/null
for key in good other dated revoked subkey expired certifier; do gpg --armor --export "$key" > "$key.asc" 2>/dev/null; done
gpg --export good > good.gpg 2>/dev/null
