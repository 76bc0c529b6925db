#!/bin/sh
# An authority and three certificates in the folder `made`, for a week. Run again to renew them.
set -eu
cd "$(dirname "$0")"
mkdir -p made
umask 077

certificate() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
        -keyout "made/$1.key.new" -out "made/$1.csr" 2>/dev/null
    printf 'subjectAltName=DNS:%s\nbasicConstraints=CA:FALSE\n' "$1" > "made/$1.ext"
    openssl x509 -req -in "made/$1.csr" -CA made/ca.pem -CAkey made/ca.key -days 7 \
        -extfile "made/$1.ext" -out "made/$1.pem.new" 2>/dev/null
    mv "made/$1.key.new" "made/$1.key"
    mv "made/$1.pem.new" "made/$1.pem"
    rm "made/$1.csr" "made/$1.ext"
}

if [ ! -f made/ca.pem ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=example" -days 7 \
        -addext basicConstraints=critical,CA:TRUE -keyout made/ca.key -out made/ca.pem 2>/dev/null
fi
for name in shop.localhost help.localhost client; do
    certificate "$name"
done
