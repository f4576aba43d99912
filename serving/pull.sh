#!/bin/sh
# Fetches one model bundle into the pod's model volume: download, check, unpack beside, rename into place.
# Reads STORE_BUCKET, BUNDLE_KEY, BUNDLE_SHA256, MODEL_DIR, MODEL_VERSION; rclone's remote `store` comes from RCLONE_CONFIG_STORE_*.
# Started again after any interruption it finishes the job; once the version is in place it does nothing.
set -eu
: "${STORE_BUCKET:?is not set}" "${BUNDLE_KEY:?is not set}" "${BUNDLE_SHA256:?is not set}"
: "${MODEL_DIR:?is not set}" "${MODEL_VERSION:?is not set}"
target="$MODEL_DIR/$MODEL_VERSION"
# TensorFlow Serving ignores directories whose names are no numbers, so a half-done one is never loaded.
work="$MODEL_DIR/.$MODEL_VERSION.part"
archive="$work/bundle.tar"
unpacked="$work/unpacked"

fail() {
  echo "error: $1" >&2
  exit 1
}

if [ -d "$target" ]; then
  rm -rf "$work"
  echo "version $MODEL_VERSION is there already"
  exit 0
fi
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
rm -rf "$work"
mkdir -p "$unpacked"

# A file server has no buckets: the remote is the folder itself.
source="$STORE_BUCKET/$BUNDLE_KEY"
if [ "${RCLONE_CONFIG_STORE_TYPE:-}" = http ]; then source="$BUNDLE_KEY"; fi

echo "downloading $BUNDLE_KEY"
rclone --config /dev/null copyto "store:$source" "$archive" \
  --retries 5 --low-level-retries 5 --retries-sleep 2s --contimeout 10s --timeout 60s --s3-no-check-bucket --stats 0 ||
  fail "$BUNDLE_KEY could not be downloaded from the bucket $STORE_BUCKET; does the service account have read access to it?"
[ -f "$archive" ] || fail "$BUNDLE_KEY is not in the bucket $STORE_BUCKET; run pulumi up to upload it"

echo "checking SHA-256"
echo "$BUNDLE_SHA256  $archive" | sha256sum -c - >/dev/null 2>&1 ||
  fail "$BUNDLE_KEY does not have the SHA-256 $BUNDLE_SHA256; the object in the model store was altered or is incomplete"

# A bundle holds files and folders only: a link could lead what is unpacked after it out of the folder.
tar -tvf "$archive" >"$work/listing" || fail "the archive cannot be read"
if grep -qv '^[-d]' "$work/listing" || grep -Eq ' (->|link to) ' "$work/listing"; then
  fail "the archive holds something that is neither a file nor a folder"
fi
tar -tf "$archive" >"$work/names" || fail "the archive cannot be read"
if grep -Eq '^/|(^|/)\.\.(/|$)' "$work/names"; then fail "the archive holds a path that leads out of its folder"; fi

echo "unpacking"
tar -xf "$archive" -C "$unpacked" || fail "the archive could not be unpacked"
mv "$unpacked" "$target"
echo "version $MODEL_VERSION is ready"
