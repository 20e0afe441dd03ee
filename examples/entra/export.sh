#!/usr/bin/env bash
# What the workload runs in App Service, Functions or Container Apps, where the platform sets
# IDENTITY_ENDPOINT and IDENTITY_HEADER. COUNTERSIGN_URL, TENANT and ORDERS_URL are settings of the app.
set -euo pipefail

# A managed identity's token for the service, and good for nothing else.
COUNTERSIGN_TOKEN="$(curl -sf "$IDENTITY_ENDPOINT?api-version=2019-08-01&resource=https://countersign.contoso.example" \
  -H "X-IDENTITY-HEADER: $IDENTITY_HEADER" | jq -r .access_token)"
export COUNTERSIGN_TOKEN

token="$(countersign token --application events --tenant "$TENANT" --scope https://orders.example/.default)"
curl -sf "$ORDERS_URL" -H "Authorization: Bearer $token"
