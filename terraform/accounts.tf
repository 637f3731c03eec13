# An account for each program, which holds the rights of that one alone. What an account may do stands beside the
# resource that it may do it to.

locals {
  accounts = {
    api     = "Slipway: answers the registry's requests"
    gc      = "Slipway: collects garbage"
    migrate = "Slipway: moves the schema"
    work    = "Slipway: moves other registries in, migrates large tables"
    deliver = "Slipway: tells subscribers what changes"
    push    = "Slipway: delivers Pub/Sub's messages to garbage collection"
    build   = "Slipway: builds the functions"
  }
}

resource "google_service_account" "this" {
  for_each = local.accounts

  account_id   = "${var.name}-${each.key}"
  display_name = each.value

  depends_on = [google_project_service.api]
}

# Signed URLs are signed by IAM in this account's name: no key leaves Google. The role that Google has for that makes
# tokens of every kind besides.
resource "google_project_iam_custom_role" "api_signs" {
  role_id     = "${replace(var.name, "-", "_")}_api_signs"
  title       = "Slipway api: signatures"
  description = "Sign URLs in its own name."
  permissions = ["iam.serviceAccounts.signBlob"]

  depends_on = [google_project_service.api]
}

resource "google_service_account_iam_member" "api_signs" {
  service_account_id = google_service_account.this["api"].name
  role               = google_project_iam_custom_role.api_signs.id
  member             = google_service_account.this["api"].member
}
