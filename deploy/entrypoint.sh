#!/bin/sh
# The storage's URL from the secret, where none is given: the password is in no image and no file.
set -eu
if [ -z "${HNAS_STORAGE:-}" ] && [ -r /run/secrets/postgres_password ]; then
    HNAS_STORAGE="postgresql://hnas:$(cat /run/secrets/postgres_password)@127.0.0.1:${HNAS_PORT:-54320}/hnas"
    export HNAS_STORAGE
fi
exec hnas "$@"
