# Secrets are made here and handed to Secret Manager by write-only arguments: neither the state nor a plan holds them.

locals {
  # Where somebody else issues the tokens, places in lists are sealed by the pepper, and nothing else.
  needed_secrets = { open = [], token = ["pepper", "token-keys", "admin-secret"], external = ["pepper"] }
  secrets = {
    for name, purpose in {
      pepper       = "Goes into the hash of every stored secret. Lost or changed, all of those are useless."
      token-keys   = "Signs the registry's tokens."
      admin-secret = "The secret of the user admin: a version of your own has to be added."
    } : name => purpose if contains(local.needed_secrets[var.access], name)
  }

  # Which program reads which, as which variable. Variables are read when an instance starts, so their version is pinned,
  # and a new one makes a new revision.
  secret_variables = {
    api = { SLIPWAY_PEPPER = "pepper", SLIPWAY_TOKEN_KEYS = "token-keys" }
    gc  = {}
    # The secrets of registries that are moved in, and those of webhooks, are sealed by it.
    work    = var.access == "open" ? {} : { SLIPWAY_PEPPER = "pepper" }
    deliver = var.access == "open" ? {} : { SLIPWAY_PEPPER = "pepper" }
    migrate = var.access == "token" ? { SLIPWAY_PEPPER = "pepper" } : {}
  }

  # Which program reads which as a file: read whenever it is opened, so in its newest version.
  secret_files = {
    api     = {}
    gc      = {}
    work    = {}
    deliver = {}
    migrate = { SLIPWAY_ADMIN_SECRET_FILE = "admin-secret" }
  }
  secrets_folder = "/etc/slipway"

  secret_versions = {
    pepper     = tostring(var.pepper_version)
    token-keys = tostring(var.token_keys_version)
  }

  secret_environment = {
    for program, variables in local.secret_variables : program => merge(
      {
        for variable, secret in variables : variable => {
          secret  = google_secret_manager_secret.this[secret].secret_id
          version = local.secret_versions[secret]
        } if contains(keys(local.secrets), secret)
      },
      # One that the operator has made: the issuer gives it, and this module never sees it.
      {
        for secret in local.console_secrets : "SLIPWAY_CONSOLE_CLIENT_SECRET" => {
          secret  = secret
          version = tostring(var.console_issuer.secret_version)
        } if program == "api"
      },
    )
  }
  console_secrets = compact([try(var.console_issuer.secret, null)])
}

resource "google_secret_manager_secret" "this" {
  for_each = local.secrets

  secret_id           = "${var.name}-${each.key}"
  annotations         = { purpose = each.value }
  deletion_protection = each.key == "pepper" && var.deletion_protection

  replication {
    dynamic "auto" {
      for_each = var.kms_key == null ? [true] : []
      content {}
    }

    # A key has a region, so what it encrypts has one.
    dynamic "user_managed" {
      for_each = local.kms_keys

      content {
        replicas {
          location = var.region

          customer_managed_encryption {
            kms_key_name = user_managed.value
          }
        }
      }
    }
  }

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

ephemeral "random_password" "pepper" {
  length  = 64
  special = false
}

ephemeral "tls_private_key" "token" {
  algorithm   = "ECDSA"
  ecdsa_curve = "P256"
}

# The first of each is made here. Further versions are added from outside (docs/operations.md), where the old value can
# be kept beside the new, or come back; a variable says which is read. None is taken away here: instances of an older
# revision may start from theirs at any time.
resource "google_secret_manager_secret_version" "made" {
  for_each = setintersection(keys(local.secrets), ["pepper", "token-keys"])

  secret                 = google_secret_manager_secret.this[each.key].id
  secret_data_wo         = each.key == "pepper" ? ephemeral.random_password.pepper.result : ephemeral.tls_private_key.token.private_key_pem_pkcs8
  secret_data_wo_version = 1
  deletion_policy        = "ABANDON"

  lifecycle {
    # One that is out of use is disabled by hand.
    ignore_changes = [enabled]
  }
}

# A function that mounts a secret without a version can't be deployed. This one is no secret: migrate refuses it.
resource "google_secret_manager_secret_version" "admin_placeholder" {
  count = var.access == "token" ? 1 : 0

  secret      = google_secret_manager_secret.this["admin-secret"].id
  secret_data = "add a version: docs/deploy.md says how"
}

resource "google_secret_manager_secret_iam_member" "reads" {
  for_each = merge([
    for program in local.rooms : {
      for secret in concat(values(local.secret_variables[program]), values(local.secret_files[program])) :
      "${program}-${secret}" => { program = program, secret = secret } if contains(keys(local.secrets), secret)
    }
  ]...)

  secret_id = google_secret_manager_secret.this[each.value.secret].id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this[each.value.program].member
}

resource "google_secret_manager_secret_iam_member" "reads_console_client" {
  for_each = toset(local.console_secrets)

  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this["api"].member
}
