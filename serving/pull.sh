#!/bin/sh
# Fetches one model bundle into the pod's model volume: download, check, unpack beside, rename into place.
# Reads STORE_BUCKET, BUNDLE_KEY, BUNDLE_SHA256, MODEL_DIR, MODEL_VERSION; rclone's remote `store` comes from RCLONE_CONFIG_STORE_*.
set -eu
target="$MODEL_DIR/$MODEL_VERSION"
# TensorFlow Serving ignores directories whose names are no numbers, so a half-done one is never loaded.
part="$MODEL_DIR/.$MODEL_VERSION.part"
archive="$MODEL_DIR/.$MODEL_VERSION.tar"

fail() {
  rm -rf "$part" "$archive"
  echo "error: $1" >&2
  exit 1
}

if [ -d "$target" ]; then
  echo "version $MODEL_VERSION is there already"
  exit 0
fi
mkdir -p "$MODEL_DIR"
rm -rf "$part" "$archive"
echo "downloading $BUNDLE_KEY"
rclone --config /dev/null copyto "store:$STORE_BUCKET/$BUNDLE_KEY" "$archive" \
  --retries 5 --low-level-retries 5 --retries-sleep 2s --contimeout 10s --timeout 60s --s3-no-check-bucket --stats 0 ||
  fail "$BUNDLE_KEY could not be downloaded from the bucket $STORE_BUCKET; does the service account have read access to it?"
echo "checking SHA-256"
echo "$BUNDLE_SHA256  $archive" | sha256sum -c - >/dev/null 2>&1 ||
  fail "$BUNDLE_KEY does not have the SHA-256 $BUNDLE_SHA256; the object in the model store was altered or is incomplete"
tar -tf "$archive" | while IFS= read -r name; do
  case "/$name/" in
    */../* | //*) exit 1 ;;
  esac
done || fail "the archive holds a path that leads out of its folder"
echo "unpacking"
mkdir "$part"
tar -xf "$archive" -C "$part" || fail "the archive could not be unpacked"
rm -f "$archive"
mv "$part" "$target"
echo "version $MODEL_VERSION is ready"
