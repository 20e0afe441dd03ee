#!/usr/bin/env bash
# What a script on an Arc-enabled server does, and does here too: asks, is told a key file, shows what is in it, and
# has a token. IDENTITY_ENDPOINT is set by `countersign agent -- examples/arc/list-resources.sh`; SUBSCRIPTION and
# VAULT_URL are those of the other tenant. RESOURCE_MANAGER is for private clouds and the emulator.
set -euo pipefail

token_for() {
  local url="$IDENTITY_ENDPOINT?api-version=2020-06-01&resource=$1" key_file
  key_file="$(curl -s -o /dev/null -D - -H Metadata:true "$url" | tr -d '\r' |
    sed -n 's/^www-authenticate: basic realm=//Ip')"
  curl -sf -H Metadata:true -H @<(authorization Basic "$(<"$key_file")") "$url" | jq -r .access_token
}

# Not among the arguments of curl, which everybody on the machine can read.
authorization() { printf 'Authorization: %s %s\n' "$1" "$2"; }

token="$(token_for https://management.azure.com)"
curl -sf "${RESOURCE_MANAGER:-https://management.azure.com}/subscriptions/$SUBSCRIPTION/resources?api-version=2021-04-01" \
  -H @<(authorization Bearer "$token") | jq -r '.value[] | "\(.type) \(.name)"'

token="$(token_for https://vault.azure.net)"
curl -sf "$VAULT_URL/secrets/${SECRET:-orders-database}?api-version=7.4" \
  -H @<(authorization Bearer "$token") | jq -r .value
