# State in another tenant's storage account. Where its tokens come from is in the environment alone, for the azurerm and
# azuread providers too. Below the agent, with the agent.yaml beside this, nothing is set by hand:
#
#   countersign agent --config agent.yaml -- terraform plan
#
# Where no agent can run, an assertion takes the place of tokens:
#
#   ARM_USE_OIDC=true ARM_TENANT_ID=TENANT ARM_CLIENT_ID=CLIENT
#   ARM_OIDC_REQUEST_URL=https://countersign.contoso.example/v1/assertion/deploy/TENANT
#   ARM_OIDC_REQUEST_TOKEN=the job's own token, meant for Countersign
terraform {
  backend "azurerm" {
    storage_account_name = "fabrikamstate"
    container_name       = "terraform"
    key                  = "orders.tfstate"
    use_azuread_auth     = true
  }
}
