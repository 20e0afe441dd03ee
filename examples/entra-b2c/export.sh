#!/usr/bin/env bash
# What a tool runs once a person has signed in to it, with COUNTERSIGN_URL, TENANT and ORDERS_URL in its
# environment. COUNTERSIGN_TOKEN is the access token that it got for a scope of the service's application, such as
# https://contoso.onmicrosoft.com/countersign/tokens.get. The ID token is the tool's own, and refused.
set -euo pipefail

token="$(countersign token --application events --tenant "$TENANT" --scope https://orders.example/.default)"
curl -sf "$ORDERS_URL" -H "Authorization: Bearer $token"
